"""`run.json`: what a job's results depend on, so that resuming with anything else is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from capitoline.configs.settings import Settings
from capitoline.modalities.atomic import write_atomically

RUN_FILE = "run.json"
WATCHED = "watch "
"""Begins what stands for the manifest of a watch, which has none: its source follows."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Two jobs with equal fingerprints give equal results."""

    version: str
    """Of capitoline."""
    items: int
    shards: int
    manifest: str
    """Digest over the items: ids, texts, tags, and where their files lie."""
    weights: Mapping[str, str]
    """Digest of each expert's weights and tables, by expert name."""
    settings: Mapping[str, Any]
    """All but where and how fast it runs."""

    def write(self, out: Path) -> None:
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        write_atomically(out / RUN_FILE, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def read_fingerprint(out: Path) -> Fingerprint | None:
    """Of the job that wrote to `out`; None if there was none.

    Raises:
        ValueError: the file is not one that this version of capitoline wrote.
    """
    path = out / RUN_FILE
    if not path.exists():
        return None
    try:
        return Fingerprint(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} was written by another version of capitoline; choose another --out") from error


def fingerprint(settings: Settings, manifest: str, items: int, shards: int, weights: Mapping[str, str]) -> Fingerprint:
    """The fingerprint of a job about to run."""
    kept = settings.model_dump(mode="json", exclude={"running": True, "experts": {"__all__": {"placement"}}})
    kept["running"] = settings.running.model_dump(include={"shard_items", "shard_bytes"})
    return Fingerprint(version("capitoline"), items, shards, manifest, dict(weights), kept)


def refuse_other_command(out: Path, old: Fingerprint, new: Fingerprint) -> None:
    """Raises ValueError if one of the two is a job of `rate` and the other a watch."""
    holds, asked = ("watch" if one.manifest.startswith(WATCHED) else "rate" for one in (old, new))
    if holds != asked:
        raise ValueError(
            f"{out} holds results of `capitoline {holds}`, to which `capitoline {asked}` cannot add; "
            "give --out a folder of its own"
        )


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """What differs, and what to do where weights changed under settings that did not."""
    return [*changes(asdict(old), asdict(new)), *advice_on_weights(old, new)]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, a line each: `settings.decider.rule: "majority" → "upper_median"`."""
    return [f"{path}: {json.dumps(one)} → {json.dumps(other)}" for path, one, other in differing(old, new)]


def advice_on_weights(old: Fingerprint, new: Fingerprint) -> list[str]:
    """A line if weights differ although the settings ask for the same: an upgrade, or a file was replaced."""
    before, after = _by_node(old), _by_node(new)
    common = sorted(old.weights.keys() & new.weights.keys())
    others = [name for name in common if before.get(name) == after.get(name) and old.weights[name] != new.weights[name]]
    if not others:
        return []
    return [
        f"capitoline {old.version} made these results with other weights of {', '.join(others)} than those that are "
        f"installed now ({new.version}): to go on with the old ones, install that version again, or give their files "
        "in `weights:`; to use the new ones, rate the media again into another folder"
    ]


def _by_node(job: Fingerprint) -> dict[str, Any]:
    """The settings of all that has weights, by its node in the graph; a teacher at work is no graph."""
    experts = {expert["name"]: expert for expert in job.settings.get("experts", ())}
    return {"decide": job.settings.get("decider"), **experts}


def combined_digest(*parts: str) -> str:
    """One digest for several, in order."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def differing(old: object, new: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """Path, old and new value of each setting that is not the same in both."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from differing(old.get(name), new.get(name), f"{path}.{name}")
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differing(one, other, f"{path}[{place}]")
    elif old != new:
        yield path.removeprefix("."), old, new
