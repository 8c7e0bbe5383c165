"""What an expert's evidence depends on beside the item itself: if none of it changed, nothing is computed again."""

from __future__ import annotations

from collections.abc import Mapping

from capitoline.configs.settings import ExpertSettings, Settings
from capitoline.pipelines.experts import weights_digests
from capitoline.pipelines.features.folds import FoldedWeights, with_weights
from capitoline.pipelines.features.store import Weights
from capitoline.pipelines.fingerprint import combined_digest

SHAPES_WHAT_IS_SEEN: dict[str, bool | set[str]] = {
    "scale": True,
    "scale_from": True,
    "decoding": True,
    "limits": {"text_characters", "animation_frames", "sound_seconds"},
}
"""The settings of a job that every expert's evidence depends on; other limits fail an item or do not."""

KNOWN_BY_CONTENT = {"name", "placement", "weights", "encoder_file", "table"}
"""Settings of an expert that change no evidence, or stand for files whose digests are counted instead."""


def expert_weights(settings: Settings, folded: Mapping[str, FoldedWeights]) -> dict[str, Weights]:
    """For each expert the digests under which its evidence is kept.

    Raises:
        ValueError: weights that are not there; folds for an expert that is not configured, or has no weights.
    """
    if unknown := sorted(folded.keys() - {expert.name for expert in settings.experts}):
        raise ValueError(f"no expert {', '.join(unknown)} is configured, for which weights in folds are given")
    return {expert.name: _weights(expert, settings, folded.get(expert.name)) for expert in settings.experts}


def evidence_key(expert: ExpertSettings, settings: Settings, weights: str) -> str:
    """The digest of evidence of `expert` with `weights`, the digest that a job's `run.json` gives them."""
    own = expert.model_dump_json(exclude=KNOWN_BY_CONTENT)
    return combined_digest(weights, own, settings.model_dump_json(include=SHAPES_WHAT_IS_SEEN))


def _weights(expert: ExpertSettings, settings: Settings, folded: FoldedWeights | None) -> Weights:
    if folded is None:
        serves = _digest(expert, settings)
        return Weights(evidence_key(expert, settings, serves), serves=serves)
    serves, *folds = (_digest(with_weights(expert, path), settings) for path in (folded.whole, *folded.folds))
    keys = [evidence_key(expert, settings, digest) for digest in folds]
    return Weights(evidence_key(expert, settings, serves), tuple(keys), serves)


def _digest(expert: ExpertSettings, settings: Settings) -> str:
    return weights_digests(settings.model_copy(update={"experts": (expert,)}))[expert.name]
