"""The compiled kernels: which of them this processor can run, or why there are none."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_DESCRIBED = {
    6: "x86-64-v4, bfloat16 in tiles: AMX",
    5: "x86-64-v4, bfloat16 in vectors: AVX512-BF16",
    4: "x86-64-v4",
    3: "x86-64-v3",
    1: "any processor",
}
LEVELS = tuple(_DESCRIBED)
"""What the kernels are compiled for, fastest first: x86-64 levels, 5 with bfloat16, 6 with tiles; 1 runs anywhere."""


def library_path(level: int) -> Path | None:
    """Where the library of a level was installed, if it was."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_kernels_{level}{suffix}")
        if path.exists():
            return path
    return None


@cache
def load_level(level: int) -> ctypes.CDLL | None:
    """The library of one level; None if it is not installed, cannot be loaded or is above this processor."""
    base, path = library_path(1), library_path(level)
    if base is None or path is None:
        return None
    try:
        if ctypes.CDLL(str(base)).processor_level() < level:
            return None
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def kernels() -> ctypes.CDLL | None:
    """The fastest library that runs here and is not above `$CAPITOLINE_KERNEL_LEVEL`, or None."""
    return _fastest(LEVELS, os.environ.get("CAPITOLINE_KERNEL_LEVEL", ""))


@cache
def _fastest(levels: tuple[int, ...], most: str) -> ctypes.CDLL | None:
    """Every call of a kernel asks, so the answer is kept."""
    return next((library for level in _up_to(levels, most) if (library := load_level(level)) is not None), None)


def allowed_levels() -> list[int]:
    """Processors of several kinds give results equal to the bit if none goes above the least of them.

    Raises:
        ValueError: the variable is not a level.
    """
    return _up_to(LEVELS, os.environ.get("CAPITOLINE_KERNEL_LEVEL", ""))


def _up_to(levels: tuple[int, ...], most: str) -> list[int]:
    if most and most not in map(str, levels):
        raise ValueError(f"CAPITOLINE_KERNEL_LEVEL is {most!r}; it must be one of {', '.join(map(str, levels))}")
    return [level for level in levels if not most or level <= int(most)]


def operator_available() -> bool:
    """Whether the compiled operator can be used; without it everything is right, only slower."""
    return kernels() is not None


def operator_status() -> str:
    """One line for a person: what is used, or what to do about its absence."""
    for level in allowed_levels():
        library = load_level(level)
        if library is not None:
            return f"compiled kernels, level {level} ({_DESCRIBED[level]})"
    if library_path(1) is None:
        return "no compiled kernels, PyTorch is used (slower): install a C++ compiler, then reinstall capitoline"
    return f"the compiled kernels cannot be loaded, PyTorch is used (slower): see `ldd {library_path(1)}`"
