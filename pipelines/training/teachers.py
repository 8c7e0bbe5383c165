"""What trained models say about the texts of a training: asked once, kept in the run's folder in parts.

Legend:  N = texts, A = axes of a head, K = its levels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from capitoline.configs.training import TeacherSettings, Training
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.networks.ordinal import HeadShape, head_shapes
from capitoline.modalities.networks.trunk import TextRater
from capitoline.modalities.weights import find_weights, read_metadata, sha256
from capitoline.pipelines.training.baselines.network import NetworkExamples
from capitoline.pipelines.training.corpus import Rows, head_shapes_of
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.lessons import Answers
from capitoline.pipelines.training.texts import example_text

PART = 4_096
"""Texts in one part: what an interruption costs."""


def ask_teachers(settings: Training, rows: Rows, folder: Path) -> Answers:
    """The mean answers of the teachers in `settings.lessons` about the training texts and their blends.

    Raises:
        ValueError: a teacher cannot be read, may have seen rows that are held out here, or its heads are others.
    """
    assert settings.lessons
    teachers = [(_found(one.weights), one) for one in settings.lessons.teachers]
    for path, one in teachers:
        _check_unseen(path, settings)
        unknown = set(one.heads) - set(_shared_heads(path, head_shapes_of(settings)))
        if unknown:
            raise ValueError(f"the teacher {path} and its pupil share no head {', '.join(sorted(unknown))}")
    testimonies = []
    for path, one in teachers:
        texts, blended = (_texts(some, one) for some in (rows.train, rows.blends))
        if not texts:
            raise ValueError(
                f"the teacher {path} is asked about {', '.join(one.files)}, of which no source reads a row"
            )
        # In two lists, lest other blends cost the answers about labelled texts anew.
        for some in filter(None, (sorted(texts), sorted(blended - texts))):
            said = _answers(path, some, settings, folder)
            testimonies.append((some, {head: said[head] for head in one.heads or said}))
    return Answers.mean_of(testimonies)


def _texts(examples: Sequence[Example], teacher: TeacherSettings) -> set[str]:
    """What the teacher is asked about."""
    return {example_text(one) for one in examples if not teacher.files or one.source.file in teacher.files}


def _found(weights: str) -> Path:
    try:
        return find_weights(weights)
    except ValueError as error:
        raise ValueError(f"a teacher is missing, {error}; train it first, or leave out `lessons:`") from error


def _check_unseen(teacher: Path, settings: Training) -> None:
    """Divisions go by a hash of a row's group: with the same groups and no smaller share, they hold out the same."""
    path = teacher.parent / "config.json"
    if not path.exists():
        raise ValueError(f"no config.json beside {teacher}: name a teacher's weights where its run has written them")
    # Not as a `Training`: a teacher of an earlier version may have had other settings. A trunk has held out no rows.
    seen = {"selection": 0.0, "sources": []} | json.loads(path.read_text(encoding="utf-8"))
    ours = {(source.file, source.group) for source in settings.sources}
    theirs = {(one["file"], one["group"]) for one in seen["sources"]}
    both = {file for file, _ in ours} & {file for file, _ in theirs}
    others = any(file in both for file, _ in ours ^ theirs)
    if seen["selection"] < settings.selection or others:
        raise ValueError(
            f"{teacher} may have learned from rows that are held out here: "
            "train it with no smaller `selection:` and the same `group:` of each source"
        )


def _answers(path: Path, texts: Sequence[str], settings: Training, folder: Path) -> dict[str, Tensor]:
    """Head → (N, A, K) of one teacher, of the heads that `settings` teaches; parts that are there are not asked for."""
    from safetensors.torch import load_file, save_file

    heads = _shared_heads(path, head_shapes_of(settings))
    identity = f"{sha256(path)} {settings.arithmetic} {heads}"
    ask = cache(lambda: _open(path, heads, settings.arithmetic == "bfloat16"))
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in track(range(0, len(texts), PART), f"answers of {path.stem}"):
        some = texts[start : start + PART]
        digest = hashlib.blake2b("\0".join((identity, *some)).encode("utf-8", "surrogatepass"), digest_size=12)
        part = folder / f"{digest.hexdigest()}.safetensors"
        if not part.exists():
            said = {head: one.half().contiguous() for head, one in ask()(some).items()}
            write_atomically(part, partial(save_file, said))
        parts.append(load_file(part))
    return {head: torch.cat([part[head] for part in parts]).float() for head in heads}


def _shared_heads(path: Path, wanted: Mapping[str, HeadShape]) -> list[str]:
    """The heads of `wanted` that the teacher at `path` has.

    Raises:
        ValueError: it has none of them, or one on other axes or levels.
    """
    theirs = head_shapes(read_metadata(path))
    shared = sorted(theirs.keys() & wanted.keys())
    for name in shared:
        if (theirs[name].axes, theirs[name].levels) != (wanted[name].axes, wanted[name].levels):
            raise ValueError(f"the head {name!r} of the teacher {path} is of other axes or levels than the one here")
    if not shared:
        raise ValueError(f"the teacher {path} has none of the heads that are taught here")
    return shared


def _open(path: Path, heads: Sequence[str], half: bool) -> Callable[[Sequence[str]], dict[str, Tensor]]:
    """What asks a model, ours or a baseline that reads by a network: texts → head → (N, A, K)."""
    if read_metadata(path).get("model", "rwkv") == "rwkv":
        rater = TextRater(path)
        return lambda texts: {
            head: torch.from_numpy(one.probabilities.reshape(len(texts), -1, one.probabilities.shape[-1]))
            for head, one in rater.by_heads([rater.read(text) for text in texts], heads).items()
        }
    network = NetworkExamples(path)
    if half:
        network.halve()
    return lambda texts: network.by_heads(texts, heads)
