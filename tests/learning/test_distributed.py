"""Several processes that share every batch learn what one process learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from capitoline.modalities.weights import read_weights
from capitoline.pipelines.train import train
from capitoline.pipelines.training.distributed import train_together


@pytest.mark.slow
def test_two_processes_learn_what_one_does_from_the_same_batches(tiny: Path, tmp_path: Path) -> None:
    text = (tiny / "tiny.yaml").read_text().replace("epochs: 6", "epochs: 2").replace("rate: 1.0e-2", "rate: 1.0e-3")
    (tmp_path / "tiny.yaml").write_text(text)
    alone = train(tmp_path / "tiny.yaml", tmp_path / "alone", tiny)
    together = train_together(tmp_path / "tiny.yaml", tmp_path / "together", tiny, 0, 2, "")
    one, other = (_losses(path.parent) for path in (alone, together))
    assert other == pytest.approx(one, rel=1e-3)
    ours, theirs = (read_weights(path, "text")[0] for path in (alone, together))
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name].float(), tensor.float(), atol=2e-2, rtol=2e-2)


def _losses(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line[name] for line in lines for name in ("loss", "selection_loss")]
