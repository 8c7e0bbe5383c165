"""The compiled kernels: which of them this processor can run, or why there are none."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

LEVELS = (4, 3, 1)
"""x86-64 levels that the kernels are compiled for, fastest first; 1 runs anywhere."""


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
    """The fastest library that runs here, or None."""
    return next((library for level in LEVELS if (library := load_level(level)) is not None), None)


def operator_available() -> bool:
    """Whether the compiled operator can be used; without it everything is right, only slower."""
    return kernels() is not None


def operator_status() -> str:
    """One line for a person: what is used, or what to do about its absence."""
    for level in LEVELS:
        if load_level(level) is not None:
            return f"compiled kernels, x86-64 level {level}" if level > 1 else "compiled kernels, any processor"
    if library_path(1) is None:
        return "no compiled kernels, PyTorch is used (slower): install a C++ compiler, then reinstall capitoline"
    return f"the compiled kernels cannot be loaded, PyTorch is used (slower): see `ldd {library_path(1)}`"
