"""Rating a few items must not wait for PyTorch: its import alone takes two seconds and 400 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capitoline.modalities.image import load_image

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

RATE = """
import sys
from pathlib import Path
from capitoline.pipelines import rate

summary = rate(sys.argv[2:], Path(sys.argv[1]))
assert summary.rated == summary.items == 3, summary
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_rating_needs_no_torch(tmp_path: Path) -> None:
    load_image("image")  # exports the vision encoder into the cache where nobody has yet; only that needs PyTorch
    media = [str(SAMPLES / name) for name in ("lake.jpg", "picnic.txt", "sunrise.mp4")]
    finished = subprocess.run(
        [sys.executable, "-c", RATE, str(tmp_path / "out"), *media], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
