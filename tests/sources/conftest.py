"""A scan as one call, and real bytes to scan."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan

Scan = Callable[..., dict[str, Item]]


@pytest.fixture
def scanned(tmp_path: Path) -> Scan:
    """Items by id; asserts that ids are unique and printable."""

    def run(*paths: Path | str, limits: ScanLimits | None = None, **options: Any) -> dict[str, Item]:
        items = list(scan([str(path) for path in paths], limits or ScanLimits(), tmp_path / "spool", **options))
        found = {item.id: item for item in items}
        assert len(found) == len(items)
        assert all(name.isprintable() and ".." not in name.split("/") for name in found)
        return found

    return run


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    out = BytesIO()
    Image.new("RGB", (16, 16), "teal").save(out, "JPEG")
    return out.getvalue()
