"""From settings to the objects that do the work: the only place that unpacks `Settings`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from capitoline.configs.settings import DeciderSettings, Decoding, FusionSettings, Limits, Settings, VoterSettings
from capitoline.fusion.files import read_decider, refuse_other_weights
from capitoline.fusion.mean import MeanProbability
from capitoline.fusion.serving import Serving
from capitoline.modalities.decoding.guard import GuardedDecoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import Decider, Decoded, Evidence, Modality, RatingScale
from capitoline.modalities.shielded import absent
from capitoline.modalities.weights import find_weights, sha256
from capitoline.pipelines.caution import Cautious
from capitoline.pipelines.experts import KINDS, build_expert, check_weights, weights_digests
from capitoline.pipelines.graph import ITEMS, Graph, Node, Operator
from capitoline.pipelines.records import DECODE, Decide
from capitoline.pipelines.review import Reviewed, ReviewPolicy
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.voter.assured import Assured
from capitoline.voter.rules import rule
from capitoline.voter.voter import Voter


def job_graph(settings: Settings) -> Graph:
    """decode → the experts, side by side → decide."""
    names = tuple(expert.name for expert in settings.experts)
    experts = [
        Node(
            name=expert.name,
            reads=(DECODE,),
            build=partial(build_expert, expert, settings),
            idle=partial(all_absent, expert.name, KINDS[expert.kind].looks_at),
            cpus=expert.placement.cpus,
            gpus=expert.placement.gpus,
            replicas=expert.placement.replicas,
        )
        for expert in settings.experts
    ]
    return Graph(
        (
            Node(DECODE, (ITEMS,), partial(build_decoder, settings)),
            *experts,
            Node("decide", (DECODE, *names), partial(_build_decide, settings), cpus=0.1),
        )
    )


def all_absent(expert: str, modalities: Sequence[Modality], items: Sequence[Decoded]) -> list[Evidence] | None:
    """The evidence of an expert if no item has, or failed to give, what it looks at; else None."""
    if any(modality in item.parts for item in items for modality in modalities):
        return None
    # One object for all: it is also pickled once, and most experts are absent from most items.
    return [absent(expert, modalities[0], modalities)] * len(items)


def build_decoder(settings: Settings) -> GuardedDecoder:
    """The decoder, in a process of its own."""
    return GuardedDecoder(decode_limits(settings.limits), sampling(settings.decoding))


def decode_limits(limits: Limits) -> DecodeLimits:
    return DecodeLimits(
        file_bytes=limits.file_bytes,
        text_characters=limits.text_characters,
        picture_pixels=limits.picture_pixels,
        animation_frames=limits.animation_frames,
        film_pixels=limits.film_pixels,
        sound_seconds=limits.sound_seconds,
        item_seconds=limits.item_seconds,
        decoder_memory_bytes=limits.decoder_memory_bytes,
        archive_ratio=limits.archive_ratio,
    )


def sampling(decoding: Decoding) -> Sampling:
    return Sampling(decoding.picture_side, decoding.animation_frames, decoding.film_frames)


def scan_limits(limits: Limits) -> ScanLimits:
    return ScanLimits(limits.archive_members, limits.archive_bytes, limits.archive_ratio)


def build_decider(settings: Settings) -> Decider:
    """The decider, which withholds what rests on half an item, with the reasons for review.

    Raises:
        ValueError: a rule, a label or an expert that does not exist.
    """
    scale, review = RatingScale(settings.scale), settings.decider.review
    policy = ReviewPolicy(review.disagreement, review.margin, review.labels)
    return Reviewed(Cautious(_chosen_decider(settings, scale), len(scale) - 1), scale, policy)


def build_shadow(settings: Settings) -> Decider | None:
    """The decider that decides beside the one that counts; None if none is configured. Raises as `build_decider`."""
    return None if settings.shadow is None else build_decider(deciding(settings, settings.shadow))


def deciding(settings: Settings, decider: DeciderSettings) -> Settings:
    """`settings` with another decider, and none beside it."""
    return settings.model_copy(update={"decider": decider, "shadow": None})


def _chosen_decider(settings: Settings, scale: RatingScale) -> Decider:
    chosen = settings.decider
    if isinstance(chosen, VoterSettings):
        _refuse_unknown(chosen.weights, [expert.name for expert in settings.experts])
        return _assured(Voter(scale, rule(chosen.rule, chosen.weights), chosen.rule), scale, chosen.sure)
    if isinstance(chosen, FusionSettings):
        return _fitted_decider(chosen.weights, settings, scale)
    return _assured(Serving(MeanProbability(), scale), scale, chosen.sure)


def _assured(decide: Decider, scale: RatingScale, sure: float | None) -> Decider:
    return decide if sure is None else Assured(decide, scale, sure)


def _refuse_unknown(weights: Iterable[str], experts: Sequence[str]) -> None:
    """A misspelt name would silently count one ballot."""
    if unknown := sorted(set(weights) - set(experts)):
        raise ValueError(f"the voter's weights name {', '.join(unknown)}; the experts are {', '.join(experts)}")


def _fitted_decider(weights: str, settings: Settings, scale: RatingScale) -> Decider:
    fitted = read_decider(find_weights(weights))
    if fitted.frame.labels != scale.labels:
        raise ValueError(
            f"the decider {weights} was fitted on the scale {' < '.join(fitted.frame.labels)}, the configuration "
            f"rates on {' < '.join(scale.labels)}: make features on this scale and fit it anew"
        )
    refuse_other_weights(fitted.frame, weights_digests(settings))
    return Serving(fitted, scale)


def decider_digests(settings: Settings) -> dict[str, str]:
    """By the name of the graph's node, the digest of what the decider has learned; empty if nothing.

    Raises:
        ValueError: weights that are not there.
    """
    chosen = settings.decider
    return {"decide": sha256(find_weights(chosen.weights))} if isinstance(chosen, FusionSettings) else {}


def checked_digests(settings: Settings) -> dict[str, str]:
    """Digests of all that a job's experts and decider have learned, for a caller that has no folder yet.

    Raises:
        ValueError: what the user got wrong about weights and deciders.
    """
    digests = weights_digests(settings) | decider_digests(settings)
    check_weights(settings)
    build_decider(settings)
    build_shadow(settings)
    return digests


def _build_decide(settings: Settings) -> Operator:
    return Decide(build_decider(settings), build_shadow(settings))
