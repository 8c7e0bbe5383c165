"""The YAML file behind the thresholds expert: values of tags, and the scores that labels begin at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from capitoline.modalities.schema import Tag


class Table(BaseModel):
    """Values of tags, and the scores from which each label but the mildest is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    thresholds: tuple[float, ...] = Field(min_length=1)
    """Ascending, one for each label from the second mildest on."""
    values: dict[str, float]
    """By tag, in lower case; negative for one that speaks for a mild rating."""

    @field_validator("thresholds")
    @classmethod
    def _ascending(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if list(thresholds) != sorted(thresholds):
            raise ValueError("thresholds must ascend, from the second mildest label to the most severe")
        return thresholds

    @field_validator("values")
    @classmethod
    def _normalised(cls, values: dict[str, float]) -> dict[str, float]:
        return {normalised(name): value for name, value in values.items()}

    def score(self, tags: Sequence[Tag]) -> float:
        """Sum of value × score over the tags that the table knows."""
        return sum(self.values.get(normalised(tag.name), 0.0) * tag.score for tag in tags)

    def severity(self, tags: Sequence[Tag]) -> int:
        """How many thresholds the tags reach."""
        return sum(self.score(tags) >= threshold for threshold in self.thresholds)

    def knows(self, tag: Tag) -> bool:
        return normalised(tag.name) in self.values


class Tables(BaseModel):
    """The content of a YAML file of tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...] = Field(min_length=2)
    """The scale that the thresholds are of, mildest first."""
    given: Table
    """For tags that an item came with."""
    tagger: Table
    """For tags that taggers gave its pictures, and for the surest frame of its film under the rule `any`."""
    films: dict[str, Table] = {}
    """For scores of a film's frames that a rule of `aggregation.py` made one, by the name of the rule."""

    @model_validator(mode="after")
    def _consistent(self) -> Tables:
        for name, table in {"given": self.given, "tagger": self.tagger, **self.films}.items():
            if len(table.thresholds) != len(self.labels) - 1:
                raise ValueError(f"{name}: {len(self.labels)} labels need {len(self.labels) - 1} thresholds")
        return self

    def of_films(self, aggregation: str) -> Table:
        """The table for films under a rule. Raises ValueError where none was fitted for it."""
        if aggregation == "any":
            return self.tagger
        if aggregation not in self.films:
            known = ", ".join(["any", *self.films])
            raise ValueError(f"the table has no thresholds for films under the rule {aggregation!r}; it has {known}")
        return self.films[aggregation]


def normalised(tag: str) -> str:
    """A tag as tables spell it: lower case, single spaces, none around it."""
    return " ".join(tag.split()).casefold()


def load_tables(path: Path) -> Tables:
    """Tables from a YAML file.

    Raises:
        ValueError: the file cannot be read, is not YAML, or has unknown or unfit keys.
    """
    try:
        return Tables.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read the table of tags {path}: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ValueError(f"{path} is not a valid table of tags:\n" + "\n".join(lines)) from error
