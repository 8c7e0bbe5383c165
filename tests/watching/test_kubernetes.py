"""The manifests for Kubernetes say what KubeRay reads and what our own command line understands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field

from capitoline.pipelines.cli import app

RAYJOB = Path(__file__).resolve().parents[2] / "configs" / "kubernetes" / "rayjob.yaml"


class Manifest(BaseModel):
    """Of the fields of `ray.io/v1` (KubeRay's API reference) those that are used here, and no others."""

    model_config = ConfigDict(extra="forbid")


class Name(Manifest):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)


class Environment(Manifest):
    name: str
    value: str


class Amounts(Manifest):
    cpu: str = Field(pattern=r"^\d+m?$")
    memory: str = Field(pattern=r"^\d+[MG]i$")


class Resources(Manifest):
    requests: Amounts
    limits: Amounts


class Mount(Manifest):
    name: str
    mountPath: str = Field(pattern="^/")  # noqa: N815 Kubernetes' own spelling, here and below
    readOnly: bool = False  # noqa: N815


class Container(Name):
    image: str
    env: list[Environment]
    resources: Resources
    volumeMounts: list[Mount]  # noqa: N815


class Volume(Name):
    persistentVolumeClaim: dict[Literal["claimName"], str] | None = None  # noqa: N815
    emptyDir: dict[Literal["medium", "sizeLimit"], str] | None = None  # noqa: N815


class PodSpec(Manifest):
    containers: list[Container] = Field(min_length=1)
    volumes: list[Volume]


class Pod(Manifest):
    spec: PodSpec


class Head(Manifest):
    rayStartParams: dict[str, str]  # noqa: N815
    template: Pod


class Workers(Head):
    groupName: str  # noqa: N815
    replicas: int = Field(ge=1)
    minReplicas: int = Field(ge=0)  # noqa: N815
    maxReplicas: int = Field(ge=1)  # noqa: N815


class Cluster(Manifest):
    rayVersion: str = Field(pattern=r"^\d+\.\d+\.\d+$")  # noqa: N815
    authOptions: dict[Literal["mode"], Literal["disabled", "token"]]  # noqa: N815
    headGroupSpec: Head  # noqa: N815
    workerGroupSpecs: list[Workers] = Field(min_length=1)  # noqa: N815


class JobSpec(Manifest):
    entrypoint: str
    backoffLimit: int = Field(ge=0)  # noqa: N815
    shutdownAfterJobFinishes: bool  # noqa: N815
    ttlSecondsAfterFinished: int = Field(ge=0)  # noqa: N815
    rayClusterSpec: Cluster  # noqa: N815


class RayJob(Manifest):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayJob"]
    metadata: Name
    spec: JobSpec


def rayjob() -> JobSpec:
    return RayJob.model_validate(yaml.safe_load(RAYJOB.read_text(encoding="utf-8"))).spec


def parsed(entrypoint: str) -> dict[str, Any]:
    """The parameters that the command line makes of an entrypoint, up to what the shell does with its exit code."""
    program, command, *arguments = shlex.split(entrypoint.split("||")[0])
    assert program == "capitoline"
    group = typer.main.get_command(app)
    context = group.commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    parameters: dict[str, Any] = context.params
    return parameters


def test_the_entrypoint_is_one_that_the_command_line_understands() -> None:
    parameters = parsed(rayjob().entrypoint)
    assert parameters["address"] == "auto"
    assert parameters["quiet"]


def test_every_path_of_the_entrypoint_is_mounted_in_every_pod() -> None:
    job = rayjob()
    parameters = parsed(job.entrypoint)
    paths = [*map(Path, parameters["paths"]), parameters["out"]]
    for group in (job.rayClusterSpec.headGroupSpec, *job.rayClusterSpec.workerGroupSpecs):
        (container,) = group.template.spec.containers
        mounted = [Path(mount.mountPath) for mount in container.volumeMounts]
        assert all(any(path.is_relative_to(place) for place in mounted) for path in paths)


def test_every_mount_has_a_volume() -> None:
    pod = rayjob().rayClusterSpec.headGroupSpec.template.spec
    mounted = {mount.name for container in pod.containers for mount in container.volumeMounts}
    assert mounted == {volume.name for volume in pod.volumes}


def test_some_unrated_items_are_no_failure_of_the_job() -> None:
    assert rayjob().entrypoint.endswith("|| test $? -eq 3")


def test_the_head_takes_no_lanes() -> None:
    assert rayjob().rayClusterSpec.headGroupSpec.rayStartParams["num-cpus"] == "0"
