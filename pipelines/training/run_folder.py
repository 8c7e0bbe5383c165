"""The folder of a training run: what was asked for, where it ran, how it went, and how to go on."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

from capitoline.configs.settings import Strict
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.rwkv.library import operator_status
from capitoline.pipelines.fingerprint import differing
from capitoline.pipelines.training.curves import curves

CHECKPOINT = "checkpoint.pt"
WRITTEN_AT_ONCE = {"config.json", "environment.json"}
LONGEST = 40
"""Characters of a setting that a message quotes."""


class RunFolder:
    """`config.json`, `environment.json`, `metrics.jsonl` (a line an epoch), `curves.svg` and `checkpoint.pt`.

    Raises:
        ValueError: the folder holds a run of another configuration.
    """

    def __init__(self, path: Path, settings: Strict, fold: tuple[int, int] | None = None) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        config = path / "config.json"
        asked = settings.model_dump(mode="json") | ({"fold": fold} if fold else {})
        found = json.loads(config.read_text(encoding="utf-8")) if config.exists() else asked
        others = [f"{name}: {_short(one)}, not {_short(other)}" for name, one, other in differing(found, asked)]
        if others and _has_begun(path):
            said = ", ".join(others)
            raise ValueError(f"{path} holds a run of another configuration ({said}); give --out another folder")
        config.write_text(json.dumps(asked, indent=2), encoding="utf-8")
        (path / "environment.json").write_text(json.dumps(_environment(), indent=2), encoding="utf-8")

    def save(self, state: dict[str, Any]) -> None:
        """Write the checkpoint so that there is always a whole one."""
        write_atomically(self.path / CHECKPOINT, lambda path: torch.save(state, path))

    def saved(self) -> dict[str, Any] | None:
        """The last checkpoint, in main memory."""
        if not (self.path / CHECKPOINT).exists():
            return None
        state: dict[str, Any] = torch.load(self.path / CHECKPOINT, map_location="cpu", weights_only=True)
        return state

    def log(self, epochs: list[dict[str, Any]]) -> None:
        """Every epoch so far: lines and curves are written anew, so that no interruption doubles one."""
        lines = "".join(json.dumps(epoch) + "\n" for epoch in epochs)
        (self.path / "metrics.jsonl").write_text(lines, encoding="utf-8")
        (self.path / "curves.svg").write_text(curves(epochs), encoding="utf-8")


def _has_begun(path: Path) -> bool:
    """Whether a run has left more than what was asked for: one that failed before its first step claims no folder."""
    return any(one.name not in WRITTEN_AT_ONCE for one in path.iterdir())


def _short(value: Any) -> str:
    said = json.dumps(value, ensure_ascii=False)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "kernels": operator_status(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
