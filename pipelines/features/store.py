"""A folder of features: what experts said about labelled items, kept so that it is computed once.

    items.parquet                    item, digest, truth (-1 unknown), split, group, fold (-1 none)
    evidence/<expert>-<key>.parquet  the columns of `columns.py`; the key is of the weights that spoke
    store.json                       labels, each expert's weights, folds
    experts.yaml                     the experts as a job's configuration has them

An expert trained in folds has a file for the weights of each fold and one for those that
learned from all of the split `train`; which of them speaks of a row is a matter of its fold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from capitoline.configs.settings import ExpertSettings
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.feature_set import UNKNOWN, ExpertFeatures, FeatureSet
from capitoline.pipelines.features.columns import EVIDENCE, from_arrays, to_arrays
from capitoline.pipelines.fingerprint import RUN_FILE

TRAIN = "train"
HELD_OUT = ("val", "test")
"""Splits that no training reads."""
NO_FOLD = -1
KEY_CHARACTERS = 12
EXPERTS = "experts.yaml"

ITEMS = pa.schema(
    [
        ("item", pa.string()),
        ("digest", pa.string()),
        ("truth", pa.int8()),
        ("split", pa.string()),
        ("group", pa.string()),
        ("fold", pa.int8()),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One item of a store, and what is known of it beside the evidence."""

    item: str
    digest: str
    """BLAKE2b-128 of its text, tags and the bytes of its files."""
    truth: int = UNKNOWN
    split: str = ""
    group: str = ""
    fold: int = NO_FOLD
    """The fold whose weights were trained without this row."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Digests of what an expert's evidence depends on: its weights, and how items are decoded for it."""

    whole: str
    """Of evidence with the weights that serve: trained on all of the split `train`, or elsewhere."""
    folds: tuple[str, ...] = ()
    """Of the weights of each fold; none for an expert that was not trained in folds."""
    serves: str = ""
    """Of the weights and tables that serve, as a job's `run.json` gives it."""

    def of(self, fold: int) -> str:
        """Those that speak of a row of `fold`."""
        return self.folds[fold] if self.folds and fold != NO_FOLD else self.whole

    def unseen(self, row: Row) -> bool:
        """Whether the weights that speak of a row are known not to have learned from it."""
        return row.split in HELD_OUT or (row.split == TRAIN and bool(self.folds) and row.fold != NO_FOLD)


@dataclass(frozen=True, slots=True)
class Contents:
    """What `store.json` says."""

    labels: tuple[str, ...]
    experts: dict[str, Weights]
    folds: int = 0
    """Into how many folds the split `train` is cut; 0 for none."""
    group: str = ""
    """The column by which it is cut."""


class FeatureStore:
    """The features in one folder."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError if `folder` holds a job, whose evidence a store would be written into."""
        if (folder / RUN_FILE).exists():
            raise ValueError(f"{folder} holds a job; give features a folder of their own (`--from {folder}` reads it)")
        self.folder = folder

    def read(self) -> FeatureSet:
        """All of it, items in the order in which they were written.

        Raises:
            ValueError: there is no store in the folder, or it is not whole.
        """
        contents, items = self.contents(), self._items()
        experts = [self._expert(name, contents, items) for name in sorted(contents.experts)]
        return FeatureSet(
            contents.labels,
            _strings(items["item"]),
            items["truth"].to_numpy().astype(np.int64),
            _strings(items["split"]),
            _strings(items["group"]),
            tuple(experts),
        )

    def read_unseen(self, split: str = TRAIN) -> FeatureSet:
        """The labelled rows of `split`, to train a fusion on.

        Raises:
            ValueError: as `read`; or an expert may have been trained on some of these rows.
        """
        features = self.read().of_split(split)
        labelled = features.at(np.flatnonzero(features.truth != UNKNOWN))
        refuse_seen(labelled)
        return labelled

    def write(self, features: FeatureSet, digests: Sequence[str] | None = None) -> None:
        """Keeps `features` as they are, instead of what was there; `digests` are of the items' content."""
        items = features.items.tolist()
        known = list(digests) if digests is not None else [_digest(item.encode()) for item in items]
        experts = {
            one.name: Weights(one.weights or _digest(one.features.tobytes()), serves=one.weights)
            for one in features.experts
        }
        for one in features.experts:
            self.keep(one.name, experts[one.name].whole, from_arrays(one, items, known))
        labelled = (items, known, features.truth.tolist(), features.splits.tolist(), features.groups.tolist())
        rows = [Row(*fields) for fields in zip(*labelled, strict=True)]
        self.describe(rows, Contents(features.labels, experts))

    def contents(self) -> Contents:
        """What `store.json` says. Raises ValueError where there is none."""
        path = self.folder / "store.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            experts = {
                name: Weights(one["whole"], tuple(one["folds"]), one["serves"])
                for name, one in found["experts"].items()
            }
            return Contents(**{**found, "labels": tuple(found["labels"]), "experts": experts})
        except FileNotFoundError as error:
            raise ValueError(f"no features in {self.folder}; `capitoline features --out` writes them") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} was not written by `capitoline features` of this version") from error

    def describe(self, rows: Sequence[Row], contents: Contents) -> None:
        """Writes the items, then what the store holds: the evidence counts from then on."""
        table = pa.Table.from_pylist([asdict(row) for row in rows], schema=ITEMS)
        self._write("items.parquet", table)
        text = json.dumps(asdict(contents), indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.folder / "store.json", lambda path: path.write_text(text, encoding="utf-8"))

    def keep_experts(self, experts: Sequence[ExpertSettings]) -> None:
        """Writes the experts' settings as a job would have them: with a decider, they serve what was stored."""
        text = yaml.safe_dump({"experts": [one.model_dump(mode="json") for one in experts]}, sort_keys=False)
        write_atomically(self.folder / EXPERTS, lambda path: path.write_text(text, encoding="utf-8"))

    def evidence(self, expert: str, weights: str) -> pa.Table:
        """What is kept of `expert` with these weights; no rows if it never spoke."""
        path = self._path(expert, weights)
        return pq.read_table(path, schema=EVIDENCE) if path.exists() else EVIDENCE.empty_table()

    def keep(self, expert: str, weights: str, evidence: pa.Table) -> None:
        """Writes all that is kept of `expert` with these weights."""
        self._write(str(self._path(expert, weights).relative_to(self.folder)), evidence)

    def _expert(self, name: str, contents: Contents, items: pa.Table) -> ExpertFeatures:
        weights = contents.experts[name]
        keys = list(zip(items["item"].to_pylist(), items["digest"].to_pylist(), strict=True))
        found, places = [], []
        for digest, chosen in _spoken_by(weights, items["fold"].to_pylist()):
            kept = self.evidence(name, digest)
            told = zip(kept["item"].to_pylist(), kept["digest"].to_pylist(), strict=True)
            row_of = {key: row for row, key in enumerate(told)}
            if any(keys[place] not in row_of for place in chosen):
                raise ValueError(f"{self.folder} lacks evidence of {name}; run the `capitoline features` that made it")
            found.append(kept.take(pa.array([row_of[keys[place]] for place in chosen], pa.int64())))
            places += chosen
        table = pa.concat_tables([EVIDENCE.empty_table(), *found]).take(pa.array(np.argsort(places), pa.int64()))
        return replace(to_arrays(name, table, len(contents.labels)), weights=weights.serves)

    def _items(self) -> pa.Table:
        return pq.read_table(self.folder / "items.parquet", schema=ITEMS)

    def _path(self, expert: str, weights: str) -> Path:
        return self.folder / "evidence" / f"{expert}-{weights[:KEY_CHARACTERS]}.parquet"

    def _write(self, name: str, table: pa.Table) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def refuse_seen(features: FeatureSet) -> None:
    """Raises ValueError if an expert spoke of a row that it may have been trained on."""
    for one in features.experts:
        if seen := int((one.rated & ~one.unseen).sum()):
            raise ValueError(
                f"{one.name} may have been trained on {seen} of these {len(features)} rows, and is far too sure of "
                "them: a fusion trained so was reported at 94 % where its best expert has 74 %. Train the experts "
                "with `capitoline train --folds`, and give `capitoline features --folds`"
            )


def _spoken_by(weights: Weights, folds: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """Each digest of weights that speaks of any row, with the places of its rows."""
    speakers = [weights.of(fold) for fold in folds]
    for digest in sorted(set(speakers)):
        yield digest, [place for place, one in enumerate(speakers) if one == digest]


def _strings(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.array(column.to_pylist(), dtype=np.str_)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
