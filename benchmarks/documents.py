"""Whole documents rated a second by the text weights, against all-MiniLM-L6-v2 with heads of its own, on one thread.

    python benchmarks/documents.py [--weights NAME_OR_PATH]

Each side gets strings and gives probabilities: its tokenizer's time counts. Ours reads a text to its end, in windows;
MiniLM is cut after 256 tokens, as its authors set it, sorted by length and in batches of 32. It calculates in bfloat16
where the processor has instructions for that, else in float32. Writes `benchmarks/results/documents.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from harness import Row, machine, take_turns, write_rows

from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.sequence import pack
from capitoline.modalities.networks.trunk import TextRater
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.training.baselines.network import BATCH, BaselineNetwork
from capitoline.pipelines.training.baselines.readers import PieceReader
from capitoline.pipelines.training.baselines.transformer import TransformerBody, pretrained

DATA = Path(os.environ.get("CAPITOLINE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
CORPORA = {"streaming descriptions": ("streaming_titles", 320), "iOS descriptions": ("ios_apps", 64)}
"""File and number of its validation texts; medians need turns more than they need texts."""
LONGEST = 256
"""Word pieces that all-MiniLM-L6-v2 reads of a text (`max_seq_length`)."""
MUST_BE = ">= 2.5"

Rate = Callable[[Sequence[str]], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="text", help="text weights of ours: shipped ones by name, or a path")
    torch.set_num_threads(1)
    write_rows("documents", all_rows(parser.parse_args().weights))


def all_rows(weights: str) -> Iterator[Row]:
    rater = TextRater(find_weights(weights))
    half = "bf16" in machine()
    theirs = minilm(half)
    size = f"{weights}.safetensors" if "/" not in weights else Path(weights).name
    for name, (file, count) in CORPORA.items():
        texts = read_texts(file, count)
        mine, other = take_turns([partial(rater, texts), partial(theirs, texts)])
        note = f"{size}; {sum(map(len, texts)) / len(texts):.0f} characters a text"
        peer = f"MiniLM {'bfloat16' if half else 'float32'}"
        yield Row(f"{name} (documents/s)", peer, len(texts) / mine, len(texts) / other, MUST_BE, note)


def minilm(half: bool) -> Rate:
    """A text's probabilities by the pretrained encoder under one untrained head: the time is that of a trained one."""
    model, tokenizer = pretrained("minilm")
    reader = PieceReader(tokenizer, LONGEST)
    shape = {"text": HeadShape(("PG", "PG13", "R", "X", "XXX"))}
    network = BaselineNetwork(TransformerBody(model, 0), shape, features=64).eval()
    head = network.head("text")

    @torch.inference_mode()
    def rate(texts: Sequence[str]) -> list[torch.Tensor]:
        ids = sorted((reader.ids(text) for text in texts), key=len)
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return [head(network(*pack(batch)))[0] for batch in batches]

    return rate


def read_texts(file: str, count: int) -> list[str]:
    """The first validation texts of a file."""
    with gzip.open(DATA / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        return [row["text"] for row in rows if row["split"] == "val" and row["text"]][:count]


if __name__ == "__main__":
    main()
