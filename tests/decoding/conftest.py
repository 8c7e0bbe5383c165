"""Limits as the default configuration has them, and a decoder under them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from capitoline.configs.settings import Settings
from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import Decoded, File, Item

Decode = Callable[..., Decoded]


@pytest.fixture(scope="session")
def limits() -> DecodeLimits:
    settings = Settings().limits
    return DecodeLimits(**{field.name: getattr(settings, field.name) for field in fields(DecodeLimits)})


@pytest.fixture(scope="session")
def sampling() -> Sampling:
    settings = Settings().decoding
    return Sampling(**{field.name: getattr(settings, field.name) for field in fields(Sampling)})


@pytest.fixture
def decode(limits: DecodeLimits, sampling: Sampling, tmp_path: Path) -> Decode:
    """Decodes an item whose only files have the names and bytes given."""

    def decoded(text: str | None = None, tags: tuple[str, ...] | None = None, **contents: bytes) -> Decoded:
        files = tuple(written(tmp_path / name.replace("_", "."), data) for name, data in contents.items())
        return Decoder(limits, sampling).decode(Item("item", text, tags, files))

    return decoded


def written(path: Path, data: bytes) -> File:
    """A file of these bytes."""
    path.write_bytes(data)
    return on_disk(path)


def on_disk(path: Path) -> File:
    return File(str(path), path.name, path.stat().st_size)
