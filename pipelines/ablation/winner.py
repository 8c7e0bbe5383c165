"""`winner.yaml`: the lines of configuration that put the chosen candidate in service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from capitoline.fusion.files import write_decider
from capitoline.fusion.fitted import FittedDecider
from capitoline.modalities.decisions import ArrayDecider
from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.grid import BY_COST, Candidate
from capitoline.pipelines.features.store import EXPERTS
from capitoline.pipelines.strategies import FITTED

WEIGHTS = "winner.safetensors"


def write_winner(out: Path, findings: Findings, decider: ArrayDecider, margin: float, features: Path) -> Path:
    """`winner.yaml` in `out`, and the fitted decider beside it where there is one.

    The experts are those that the folder `features` names; one imported from a job names none.
    """
    candidate = findings.chosen.candidate
    if candidate.strategy in FITTED:
        about = {"candidate": candidate.name, "ablation": findings.title, "seed": findings.chosen.best_seed}
        write_decider(out / WEIGHTS, served(cast(FittedDecider, decider), candidate), about)
    path = out / "winner.yaml"
    settings = yaml.safe_dump(_experts(features, candidate) | _settings(out, candidate, margin), sort_keys=False)
    path.write_text(_header(findings) + settings, encoding="utf-8")
    return path


def served(decider: FittedDecider, candidate: Candidate) -> FittedDecider:
    """The decider at the candidate's cost: the same parameters, another quantile."""
    if candidate.strategy not in BY_COST:
        return decider
    # Every fitted decider is made of its frame and its tensors, as `FittedDecider` promises.
    build = cast(Any, type(decider))
    again: FittedDecider = build(replace(decider.frame, down_cost=candidate.down_cost), decider.tensors)
    return again


def _experts(features: Path, candidate: Candidate) -> dict[str, Any]:
    if not (features / EXPERTS).exists():
        return {}
    kept = yaml.safe_load((features / EXPERTS).read_text(encoding="utf-8"))["experts"]
    return {"experts": [one for one in kept if one["name"] in candidate.experts]}


def _settings(out: Path, candidate: Candidate, margin: float) -> dict[str, Any]:
    review = {"review": {"margin": round(margin, 6)}}
    if candidate.strategy in FITTED:
        return {"decider": {"kind": "fusion", "weights": str((out / WEIGHTS).resolve()), **review}}
    if candidate.strategy == "mean":
        return {"decider": {"kind": "mean", **review}}
    # A voter's verdicts carry no probabilities, so no margin can be asked of them.
    return {"decider": {"kind": "voter", "rule": "majority" if candidate.is_expert else candidate.strategy}}


def _header(findings: Findings) -> str:
    return (
        f"# {findings.chosen.candidate.name}, chosen by `capitoline ablate`. It decides from these experts, with the "
        f"weights of the features, and from no others:\n# {', '.join(findings.chosen.candidate.experts)}.\n"
    )
