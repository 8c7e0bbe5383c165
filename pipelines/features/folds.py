"""Experts trained in folds: each item of the split `train` meets the weights that never saw it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from capitoline.configs.settings import ExpertSettings, Settings
from capitoline.modalities.feature_set import UNKNOWN
from capitoline.modalities.schema import Decoded, Evidence, Expert, Item, Modality, RatingScale
from capitoline.modalities.weights import sha256
from capitoline.pipelines.experts import KINDS, build_expert
from capitoline.pipelines.features.store import NO_FOLD, TRAIN, Row
from capitoline.pipelines.graph import Graph
from capitoline.pipelines.training.folds import fold_of

FoldOf = Callable[[Item], int]
"""The fold of an item, or `NO_FOLD`."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which of a manifest's columns say the truth, the split and the group of an item; empty for none."""

    label: str = ""
    split: str = ""
    group: str = ""
    folds: int = 0
    """Into how many the split `train` is cut, by group; 0 for none."""

    def check(self, items: Sequence[Item]) -> None:
        """Raises ValueError for a column that no item has, and for folds without a split."""
        for column in filter(None, (self.label, self.split, self.group)):
            if not any(column in item.metadata for item in items):
                raise ValueError(f"no item has a column {column!r}")
        if self.folds and not self.split:
            raise ValueError("weights in folds need --split: the column that says which rows they learned from")

    def row(self, item: Item, digest: str, scale: RatingScale) -> Row:
        """What a store says of the item. A missing label is unknown. Raises ValueError for one not on the scale."""
        label = item.metadata.get(self.label)
        truth = scale.severity(label) if label else UNKNOWN
        split = item.metadata.get(self.split) or ""
        return Row(item.id, digest, truth, split, self.group_of(item), self.fold(item))

    def fold(self, item: Item) -> int:
        """The fold that left this item out; `NO_FOLD` outside the split `train`."""
        if not self.folds or item.metadata.get(self.split) != TRAIN:
            return NO_FOLD
        return fold_of(self.group_of(item), self.folds)

    def group_of(self, item: Item) -> str:
        """As the trainer has it: a row without a group is a group of its own."""
        return item.metadata.get(self.group) or item.id


@dataclass(frozen=True, slots=True)
class FoldedWeights:
    """What `capitoline train --folds` left in a folder."""

    whole: Path
    """Weights trained on all of the split `train`."""
    folds: tuple[Path, ...]
    """Weights trained without the rows of a fold, by fold."""
    group: str
    """The column by which the folds were cut."""

    def of(self, fold: int) -> Path:
        return self.whole if fold == NO_FOLD else self.folds[fold]


def read_folded(folder: Path) -> FoldedWeights:
    """What the folder of a training in folds holds.

    Raises:
        ValueError: it is not finished, or a file in it is not the one that was written.
    """
    path = folder / "folds.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        weights = [folder / name for name in found["weights"]]
        sums, group = list(found["sha256"]), str(found["group"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: `capitoline train --folds K --out {folder}` writes it") from error
    for one, expected in zip(weights, sums, strict=True):
        if not one.is_file() or sha256(one) != expected:
            raise ValueError(f"{one} is not the file that {path} names; train it again")
    whole = folder / "whole" / weights[0].name
    if not whole.is_file():
        raise ValueError(f"{whole} is missing: no weights that learned from all rows; train it again")
    return FoldedWeights(whole, tuple(weights), group)


def folded_by_name(option: str) -> dict[str, FoldedWeights]:
    """Weights in folds from `text=DIR,image=DIR`. Raises ValueError for anything else, and as `read_folded`."""
    found = {}
    for pair in filter(None, option.split(",")):
        name, _, folder = (side.strip() for side in pair.partition("="))
        if not (name and folder):
            raise ValueError(f"folds are given as `text=DIR,image=DIR`; {pair!r} is none")
        found[name] = read_folded(Path(folder))
    return found


def one_cut(labelling: Labelling, folded: Mapping[str, FoldedWeights]) -> Labelling:
    """`labelling` with the folds of all these weights.

    Raises:
        ValueError: they were cut into several numbers of folds, or by several columns; another group is asked for.
    """
    cuts = {(len(one.folds), one.group) for one in folded.values()}
    if len(cuts) > 1:
        listed = ", ".join(f"{name}: {len(one.folds)} by {one.group}" for name, one in sorted(folded.items()))
        raise ValueError(f"the experts were trained in different folds ({listed}); train them alike")
    for folds, group in cuts:
        if labelling.group not in ("", group):
            raise ValueError(f"the folds were cut by {group!r}; --group {labelling.group} would mix what was seen")
        return replace(labelling, group=group, folds=folds)
    return labelling


class ByFold:
    """An expert of which each item meets the weights of its fold; they load when the first item needs them."""

    def __init__(self, name: str, modality: Modality, build: Callable[[int], Expert], fold: FoldOf) -> None:
        self.name: str = name
        self.modality: Modality | None = modality
        self._build, self._fold = build, fold
        self._experts: dict[int, Expert] = {}

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order."""
        folds = [self._fold(one.item) for one in items]
        found: dict[int, Evidence] = {}
        for fold in sorted(set(folds)):
            places = [place for place, one in enumerate(folds) if one == fold]
            found |= zip(places, self._expert(fold)([items[place] for place in places]), strict=True)
        return [found[place] for place in range(len(items))]

    def _expert(self, fold: int) -> Expert:
        if fold not in self._experts:
            self._experts[fold] = self._build(fold)
        return self._experts[fold]


def with_weights(expert: ExpertSettings, weights: Path) -> ExpertSettings:
    """The expert with the weights at a path. Raises ValueError for an expert that has none to train."""
    if not hasattr(expert, "weights"):
        raise ValueError(f"the expert {expert.name} has no weights that could be trained in folds")
    return expert.model_copy(update={"weights": str(weights)})


def build_by_fold(expert: ExpertSettings, settings: Settings, weights: FoldedWeights, fold: FoldOf) -> ByFold:
    """`expert`, with the weights of each item's fold in the place of its own."""

    def build(number: int) -> Expert:
        return build_expert(with_weights(expert, weights.of(number)), settings)

    return ByFold(expert.name, KINDS[expert.kind].looks_at[0], build, fold)


def folded_graph(graph: Graph, settings: Settings, folded: Mapping[str, FoldedWeights], fold: FoldOf) -> Graph:
    """`graph` with its experts named in `folded` trained in folds."""
    experts = {expert.name: expert for expert in settings.experts}
    nodes = [
        replace(node, build=partial(build_by_fold, experts[node.name], settings, folded[node.name], fold))
        if node.name in folded
        else node
        for node in graph.nodes
    ]
    return Graph(tuple(nodes))
