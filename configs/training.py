"""The configuration of one training run or evaluation. The YAML files in `train/` and `eval/` fill it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import Field, ValidationError

from capitoline.configs.settings import Strict

Kind = Literal["text", "image", "video"]


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
    label: str = "rating5"
    """The column of the label; rows where it is missing are left out, never read as harmless."""
    mapping: dict[str, str] = Field(default_factory=dict)
    """Label of the source → label of the scale; without one the labels are those of the scale."""
    group: str = "title"
    """Rows equal in this column (else in `id`) never stand on two sides of a division."""
    weight: float = Field(default=1.0, gt=0)
    """How much a row counts in training, against the other sources."""
    licence: str = ""
    """As its publisher states it; printed in the card."""


class Network(Strict):
    """Sizes of the network."""

    width: int = Field(gt=0)
    """Channels of RWKV-7; a multiple of 64."""
    layers: int = Field(gt=0)
    features: int = Field(default=64, gt=0)
    """Width of the pre-logits that the fusion reads."""
    dropout: float = Field(default=0.2, ge=0, lt=1)


class Training(Strict):
    """A whole training run: `capitoline train FILE --out DIR`."""

    kind: Kind
    name: str
    """Of the weights; the file is `<name>.safetensors`."""
    purpose: str
    """One sentence for the card."""
    limits: tuple[str, ...] = ()
    """What the weights must not be trusted with; for the card."""
    labels: tuple[str, ...] = ("PG", "PG13", "R", "X", "XXX")
    sources: tuple[Source, ...] = Field(min_length=1)
    network: Network
    seed: int = 0
    epochs: int = Field(default=6, gt=0)
    batch: int = Field(default=32, gt=0)
    """Examples a step."""
    rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; it rises over `warmup` steps and falls along a cosine to a hundredth."""
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
    half: bool = False
    """bfloat16 arithmetic in training: faster on processors that have it, ten times slower on others."""


class Floor(Strict):
    """What a simple method reaches on rows we do not have; NaN-free, absent if unknown."""

    accuracy: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None


class Task(Strict):
    """One row of the evaluation's table."""

    name: str
    source: Source
    channels: tuple[str, ...] = ()
    """Video: the score channels that are known; if empty, those that the expert computes from pixels."""
    floor: Floor = Floor()


class Evaluation(Strict):
    """Heads on rows of `split`, beside the floors: `capitoline evaluate FILE`."""

    kind: Kind
    weights: str
    split: Literal["train", "val"] = "val"
    tasks: tuple[Task, ...] = Field(min_length=1)


Configured = TypeVar("Configured", bound=Strict)


def load_configuration(path: Path, model: type[Configured]) -> Configured:
    """A `Training` or `Evaluation` from a YAML file.

    Raises:
        ValueError: the file cannot be read, is not YAML, or has unknown or unfit keys.
    """
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read the configuration {path}: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ValueError(f"{path} is not a valid {model.__name__.lower()}:\n" + "\n".join(lines)) from error
