"""Weight files: one safetensors each, with all that is needed to rebuild the network in its header.

Nothing is unpickled and nothing in a file is executed. Shipped files lie in the folder
`shipped/` beside this module and are checked against `shipped/checksums.json` before use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).parent / "shipped"

METADATA_KEY = "capitoline"
"""The key of the safetensors header under which our JSON lies."""

STORED = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "I8": "<i1", "I32": "<i4", "I64": "<i8"}
"""NumPy's names of the types that weight files hold; it has none for bfloat16."""

SCALE = "_scale"
"""Of an int8 matrix `x`, the tensor `x_scale` has what each row is to be multiplied by."""


def find_weights(name: str) -> Path:
    """The file of shipped weights called `name`, its sha256 checked, or the file at the path `name`.

    Raises:
        ValueError: there is no such file, or a shipped one does not have its checksum.
    """
    shipped = SHIPPED / f"{name}.safetensors"
    if "/" not in name and shipped.is_file():
        _check(shipped)
        return shipped
    path = Path(name).expanduser()
    if path.is_file():
        return path
    names = ", ".join(sorted(one.stem for one in SHIPPED.glob("*.safetensors")))
    raise ValueError(f"no weights {name!r}: give the path of a safetensors file, or one of: {names}")


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _check(path: Path) -> None:
    expected = json.loads((SHIPPED / "checksums.json").read_text(encoding="utf-8")).get(path.name)
    if sha256(path) != expected:
        raise ValueError(f"{path} is not the file that was shipped (its sha256 differs); reinstall capitoline")


def read_metadata(path: Path) -> dict[str, Any]:
    """What the header says: kind, labels, sizes, training data, figures.

    Raises:
        ValueError: not a safetensors file, or not one that `capitoline train` wrote.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
    if METADATA_KEY not in header:
        raise ValueError(f"{path} was not written by `capitoline train`: its header has no {METADATA_KEY!r}")
    metadata: dict[str, Any] = json.loads(header[METADATA_KEY])
    return metadata


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, memory-mapped, and metadata of a file whose metadata say `kind`.

    Raises:
        ValueError: as `read_metadata`, or weights of another kind.
    """
    from safetensors.torch import load_file

    metadata, tensors = _metadata_of_kind(path, kind), load_file(path)
    for name in _scaled(tensors):
        tensors[name] = tensors[name].float() * tensors.pop(name + SCALE)[:, None]
    return tensors, metadata


def read_arrays(path: Path, kind: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """As `read_weights`, without PyTorch: floating-point tensors of any width as float32, others as they are.

    Raises:
        ValueError: as `read_weights`, or values that are infinite or not a number. In fixed point they would come out
            as numbers, and so as a rating.
    """
    metadata, tensors = _metadata_of_kind(path, kind), _finite_arrays(path)
    for name in _scaled(tensors):
        tensors[name] = tensors[name] * tensors.pop(name + SCALE)[:, None]
    return tensors, metadata


def check_values(path: Path) -> None:
    """Read a file as `read_arrays` does, of whatever kind, for nothing but its errors; what was shipped is known."""
    if path.parent != SHIPPED:
        read_metadata(path)
        _finite_arrays(path)


def _finite_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import deserialize

    stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    tensors = {name: _array(tensor) for name, tensor in stored}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds values that are no numbers; its training failed, or it is damaged")
    return tensors


def _scaled(names: Collection[str]) -> list[str]:
    """Of all tensors' names, those of the int8 matrices."""
    return [name for name in names if name + SCALE in names]


def quantised(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(V, C) → int8 (V, C) and the scale of each row (V,) float32; no element is off by more than half a scale."""
    import torch

    scale = matrix.float().abs().amax(1).clamp(min=1e-12) / 127
    return (matrix.float() / scale[:, None]).round().to(torch.int8), scale


def _array(tensor: Mapping[str, Any]) -> npt.NDArray[Any]:
    stored = np.frombuffer(tensor["data"], STORED[tensor["dtype"]]).reshape(tensor["shape"])
    if tensor["dtype"] == "BF16":  # the upper half of a float32
        return (stored.astype("<u4") << 16).view("<f4")
    return stored.astype(np.float32) if stored.dtype.kind == "f" else stored


def _metadata_of_kind(path: Path, kind: str) -> dict[str, Any]:
    metadata = read_metadata(path)
    if metadata["kind"] != kind:
        raise ValueError(f"{path} holds weights of kind {metadata['kind']!r} where {kind!r} is needed")
    return metadata


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a file that `read_weights` reads; the same tensors and metadata give the same bytes."""
    from safetensors.torch import save

    ordered = {name: tensors[name].detach().contiguous() for name in sorted(tensors)}
    described = {METADATA_KEY: json.dumps(metadata, sort_keys=True, ensure_ascii=False)}
    path.write_bytes(save(ordered, described))  # `save_file` would let nobody but its owner read it
