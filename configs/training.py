"""The configuration of one training run. The YAML files in `train/` fill it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, model_validator

from capitoline.configs.settings import Strict, read_yaml

Kind = Literal["text", "image", "video"]

Loss = Literal["corn", "cumulative", "soft", "cross_entropy"]


class HeadSettings(Strict):
    """A head that does not speak about the one axis and the labels of `Training.labels`, or is taught otherwise."""

    axes: tuple[str, ...] = ()
    """What it judges, each by itself: categories of harm, the severities of a film. None: one axis without a name."""
    levels: tuple[str, ...] = ()
    """Of each axis, mildest first; if empty, the labels of the training."""
    loss: Loss = "corn"
    """`corn`: continuation ratios; `cumulative`: one score against thresholds; `soft`: labels that fall off with
    distance; `cross_entropy`: blind to the order, to compare with."""
    weight: float = Field(default=1.0, gt=0)
    """Of its loss, against the other heads'."""
    down_cost: float | None = Field(default=None, gt=0)
    """As of the training, whose it is if not given."""
    decide_for: Literal["macro_f1"] | None = None
    """Of one axis: choose `down_cost` on the selection rows so that this figure is greatest there."""


class Reason(Strict):
    """Why a row has its label, in words, for the trunk to learn to say; no served head reads or says it."""

    column: str
    weight: float = Field(gt=0)
    """Of the mean loss of its tokens, against the loss of the label."""


class Source(Strict):
    """One labelled file under the data folder, and how its rows are read."""

    file: str
    """JSON lines, perhaps gzipped: an object a row with `id`, `split` (`train` or `val`) and what is named below."""
    head: str = "text"
    """Which head of the network these rows teach: `text`, `tags`, `image`, `video`."""
    columns: tuple[str, ...] = ()
    """Text: columns joined by a space. Tags: columns of tags divided by commas or semicolons.
    Image: the one column that names a member of `archive`. Video: none."""
    archive: str = ""
    """A zip of pictures, or an npz of frame scores with `frames` (N, 5) and `offsets`."""
    tags: tuple[str, ...] = ()
    """Text: columns of tags that are read after the text, as tags."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only rows that have these values in these columns."""
    frames: int = Field(default=0, ge=0)
    """Video: a clip is cut into stretches of so many frames, each an example; 0: whole clips, as they are served.
    A row says by `frames` how many it has."""
    label: str = "rating5"
    """The column of the label; rows where it is missing are left out, never read as harmless."""
    axes: dict[str, str] = Field(default_factory=dict)
    """In place of `label`: axis of the head → column of its level, `column.key` for a key of an object.
    Where it is missing, that axis is unknown."""
    listed: str = ""
    """In place of `label`: the column that lists the axes that are present, at the highest level;
    a list, or a text divided by commas or semicolons."""
    complete: bool = False
    """Whether what `listed` does not list is absent; if not, it is unknown."""
    others: bool = False
    """Whether `listed` may name what is no axis of the head; it is left out then."""
    mapping: dict[str, str] = Field(default_factory=dict)
    """Label of the source → level of the head (with `listed`, name in the source → axis); else they are the same."""
    reason: Reason | None = None
    group: str = "title"
    """Rows equal in this column (else in `id`) never stand on two sides of a division."""
    weight: float = Field(default=1.0, gt=0)
    """How much a row counts in training, against the other sources."""
    licence: str = ""
    """As its publisher states it; printed in the card."""


class Network(Strict):
    """Sizes of the network."""

    width: int = Field(gt=0, multiple_of=64)
    """Channels of RWKV-7, whose heads have 64."""
    layers: int = Field(gt=0)
    features: int = Field(default=64, gt=0)
    """Width of the pre-logits that the fusion reads."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    skip: bool = False
    """Pictures and films: the heads also see the mean of the vectors that go in."""
    distribution: bool = False
    """Pictures and films: the heads also see the deviation, quantiles and steps of the vectors that go in."""


class LowRankSettings(Strict):
    """Of `tuning: lora`."""

    rank: int = Field(default=8, gt=0)
    alpha: float = Field(default=16.0, gt=0)


class WideSettings(Strict):
    """Text: a linear half of some heads, which reads letter and word n-grams where the trunk's half reads tokens."""

    heads: tuple[str, ...] = Field(min_length=1)
    """Which; taught by continuation ratios (`loss: corn`)."""
    bits: int = Field(default=18, ge=8, le=24)
    """N-grams are hashed into 2^bits buckets, of a byte for each step of each head."""
    least: int = Field(default=2, ge=1)
    """Training texts in which a bucket must occur."""
    looseness: float = Field(default=3.0, gt=0)
    """Inverse strength of the penalty on squared weights, scikit-learn's `C`."""


class LinearSettings(Strict):
    """Pictures: a linear half of some heads, which reads the mean of the vectors that go in (`skip: true`)."""

    heads: tuple[str, ...] = Field(min_length=1)
    """Which; taught by continuation ratios (`loss: corn`)."""
    penalty: float = Field(default=2.0, gt=0)
    """On squared weights of what is said of every head, in the mean squared length of what is read."""
    looseness: float = Field(default=0.03, gt=0)
    """Of the step from that to these heads: inverse strength of its penalty, scikit-learn's `C`."""


class TeacherSettings(Strict):
    """A trained text model that answers for every head it has."""

    weights: str
    """Path, in the folder of its run, whose `config.json` says that it has seen no row held out here: each file that
    both read is divided by the same `group:`, and no smaller share is held out. Copies of a file are not known."""
    files: tuple[str, ...] = ()
    """Of which sources it is asked about the rows; if empty, of all: a strong teacher is slow."""
    heads: tuple[str, ...] = ()
    """Whose answers count; if empty, all heads that it shares with its pupil. It is not strong in all of them."""


class BlendSettings(Strict):
    """Texts made of halves of two of one file, with the tags of either: without a label, for teachers to answer."""

    file: str
    """Of a source."""
    heads: tuple[str, ...] = Field(min_length=1)
    """Whose texts are blended, each with others of the same head."""
    count: int = Field(default=1, gt=0)
    """Blends for each training row."""

    @model_validator(mode="after")
    def _has_text(self) -> BlendSettings:
        if "tags" in self.heads:
            raise ValueError("blends: the head 'tags' reads no text that has halves")
        return self


class LessonSettings(Strict):
    """Text: teachers' answers, learned beside the labels (knowledge distillation, arXiv:1503.02531).

    A row that only one head has a label of teaches all heads so. Where several teachers answer, their mean counts.
    """

    teachers: tuple[TeacherSettings, ...] = Field(min_length=1)
    weight: float = Field(default=1.0, gt=0)
    """Of the answers of heads that have a label of the row, against the loss of that label."""
    elsewhere: float = Field(default=0.2, ge=0)
    """Of the answers of other heads, against those."""
    blends: tuple[BlendSettings, ...] = ()
    """Texts without labels that are answered and learned, too."""
    temperature: float = Field(default=1.0, gt=0)
    """Both distributions are flattened by it before they are compared."""

    @model_validator(mode="after")
    def _answered(self) -> LessonSettings:
        asked = {file for teacher in self.teachers for file in teacher.files}
        unheard = [blend.file for blend in self.blends if blend.file not in asked]
        if unheard and all(teacher.files for teacher in self.teachers):
            raise ValueError(f"blends: no teacher is asked about {unheard[0]}: add it to the `files:` of one")
        return self


class Training(Strict):
    """A whole training run: `capitoline train FILE --out DIR`."""

    kind: Kind
    model: str = "rwkv"
    """`rwkv`, or the name of a baseline to compare with."""
    name: str
    """Of the weights; the file is `<name>.safetensors`."""
    purpose: str
    """One sentence for the card."""
    limits: tuple[str, ...] = ()
    """What the weights must not be trusted with; for the card."""
    labels: tuple[str, ...] = ("PG", "PG13", "R", "X", "XXX")
    heads: dict[str, HeadSettings] = Field(default_factory=dict)
    """By name; a head of a source that is not here has one axis, `labels` and the loss `loss`."""
    loss: Loss = "corn"
    sources: tuple[Source, ...] = Field(min_length=1)
    network: Network
    wide: WideSettings | None = None
    linear: LinearSettings | None = None
    lessons: LessonSettings | None = None
    """What teachers add to the labels. Baselines and trainings in folds learn labels only."""
    start: str = ""
    """Where body and vocabulary come from: nothing (scratch), the name of shipped weights or a path of ours,
    or an official RWKV-7 checkpoint (`.pth`, `.safetensors`)."""
    tuning: Literal["full", "lora", "state", "head"] = "full"
    """What of RWKV-7 is trained beside the heads: all, adapters of the projections, the state before the first
    token, nothing. What projects vectors into it is always trained."""
    lora: LowRankSettings = LowRankSettings()
    frozen: int = Field(default=0, ge=0)
    """Layers of a pretrained transformer, counted from its tokens, that stay as they are, its embeddings too."""
    seed: int = 0
    epochs: int = Field(default=6, gt=0)
    batch: int = Field(default=32, gt=0)
    """Examples a step."""
    rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; it rises over `warmup` steps and falls along a cosine to a hundredth."""
    trunk_rate: float = Field(default=1.0, gt=0)
    """Learning rate of what comes before the heads, in rates of the heads."""
    warmup: int = Field(default=100, ge=0)
    decay: float = Field(default=0.1, ge=0)
    """Weight decay of embeddings and large projections."""
    balance: float = Field(default=0.0, ge=0, le=1)
    """Lift of rare labels: 0 none, 1 every label counts the same."""
    down_cost: float = Field(default=1.0, gt=0)
    """Cost of rating a level too mild, in costs of rating a level too severe."""
    window: int = Field(default=192, gt=0)
    """Tokens, patches or frames that the network sees at once."""
    forget: float = Field(default=0.1, ge=0, lt=1)
    """Share of tokens (tags, score channels) dropped at random in training."""
    rarest: int = Field(default=3, ge=1)
    """Text: tokens seen less often than this fall back to their bytes."""
    selection: float = Field(default=0.08, gt=0, lt=1)
    """Share of the training groups held out to choose the epoch and the temperature."""
    average: bool = False
    """Keep the mean of the networks that the epochs ended with, if the selection rows like it better than each."""
    patience: int = Field(default=0, ge=0)
    """Epochs without a better selection loss after which training ends; 0: all epochs run."""
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    """Wall time between checkpoints within an epoch, 0 for one after each step; each epoch ends with one."""
    embedding: Literal["bf16", "int8"] = "bf16"
    """How the weight file keeps the table of tokens."""
    arithmetic: Literal["float32", "bfloat16", "int16"] = "float32"
    """Of the matrix products in training. bfloat16 is faster on processors that have it, ten times slower on others;
    int16, which is fixed point, is faster on processors with AVX2 and without AVX-512, and refused elsewhere."""

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        untaught = self.heads.keys() - {source.head for source in self.sources}
        if untaught:
            raise ValueError(f"no source teaches the head {', '.join(sorted(untaught))}")
        self._check_wide()
        self._check_linear()
        self._check_blends()
        if self.kind != "text" and self.lessons:
            raise ValueError("only a network that reads text has teachers: leave out `lessons:`")
        if self.kind != "text" and any(source.reason for source in self.sources):
            raise ValueError("only a network that reads text can learn reasons")
        if self.tuning != "full" and not self.start:
            raise ValueError(f"tuning: {self.tuning} changes little of a network: give `start:`, which it is to be")
        return self

    def _check_blends(self) -> None:
        for blend in self.lessons.blends if self.lessons else ():
            taught = sorted({source.head for source in self.sources if source.file == blend.file} - {"tags"})
            if unknown := sorted(set(blend.heads) - set(taught)):
                raise ValueError(
                    f"blends: no source of {blend.file} teaches the head {', '.join(unknown)}; "
                    f"its texts are of {', '.join(taught) or 'none'}"
                )

    def _check_wide(self) -> None:
        if self.wide is None:
            return
        if self.kind != "text":
            raise ValueError("only a network that reads text has n-grams: leave out `wide:`")
        self._check_halves("wide", self.wide.heads)

    def _check_linear(self) -> None:
        if self.linear is None:
            return
        if self.kind == "text" or not self.network.skip or self.network.distribution:
            raise ValueError("linear: reads the mean of vectors alone: give `network: {skip: true}`, no distribution")
        self._check_halves("linear", self.linear.heads)

    def _check_halves(self, which: str, heads: tuple[str, ...]) -> None:
        unknown = set(heads) - {source.head for source in self.sources}
        if unknown:
            raise ValueError(f"{which}: no source teaches the head {', '.join(sorted(unknown))}")
        unfit = [name for name in heads if self.heads.get(name, HeadSettings(loss=self.loss)).loss != "corn"]
        if unfit:
            raise ValueError(f"{which}: needs `loss: corn`, which {', '.join(unfit)} has not")


Configured = TypeVar("Configured", bound=Strict)


def load_configuration(path: Path, model: type[Configured]) -> Configured:
    """A configuration of any kind, a `Training` or an `Evaluation`, from a YAML file.

    Raises:
        ValueError: as `settings.read_yaml`.
    """
    return read_yaml(path, model, model.__name__.lower())
