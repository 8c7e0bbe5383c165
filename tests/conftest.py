"""Where tests find real media: `CAPITOLINE_DATA`, else `../shared/data` beside the checkout."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# As the command line does: with another number of threads, sums are added in another order.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C and hands that on; what is started here must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data. In CI it must be there: a skip would hide what was not tested."""
    folder = Path(os.environ.get("CAPITOLINE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        message = f"no data in {folder}: set CAPITOLINE_DATA to the folder with the labelled sets"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
