"""Whole documents rated a second by the text weights, against all-MiniLM-L6-v2 with heads of its own, on one thread.

    python benchmarks/documents.py [--weights NAME_OR_PATH]

The documents are validation texts of each single-head task of `configs/eval/text.yaml` that must reach something, and
the longest texts there are. Each side gets strings and gives probabilities: its tokenizer's time counts. Ours reads a
text to its end, in windows; MiniLM is cut after 256 tokens, as its authors set it, sorted by length and in batches of
32. It calculates in bfloat16 where the processor has instructions for that, else in float32.
Writes `benchmarks/results/documents.json`.
"""

from __future__ import annotations

import argparse
import os
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

import torch
from harness import Row, half_products, take_turns, write_rows

from capitoline.configs.evaluation import Evaluation, Mark, Task
from capitoline.configs.training import Source, load_configuration
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.sequence import pack
from capitoline.modalities.networks.trunk import TextRater
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.training.baselines.network import BATCH, BaselineNetwork
from capitoline.pipelines.training.baselines.readers import PieceReader
from capitoline.pipelines.training.baselines.transformer import TransformerBody, pretrained
from capitoline.pipelines.training.dataset import Division, read_examples
from capitoline.pipelines.training.texts import example_text

DATA = Path(os.environ.get("CAPITOLINE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TASKS = Path(__file__).resolve().parents[1] / "configs" / "eval" / "text.yaml"
ALSO = "ios: genre + description"
CHARACTERS = 50_000
"""Of the texts of a task, about: medians need turns more than they need texts."""
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
    half = half_products()
    theirs = minilm(half, rater.labels)
    size = f"{weights}.safetensors" if "/" not in weights else Path(weights).name
    for task in tasks():
        texts = read_texts(task.source, rater)
        mine, other = take_turns([partial(rater, texts, task.source.head), partial(theirs, texts)])
        note = f"{size}; {len(texts)} of {sum(map(len, texts)) / len(texts):.0f} characters"
        peer = f"MiniLM {'bfloat16' if half else 'float32'}"
        yield Row(f"{task.name} (documents/s)", peer, len(texts) / mine, len(texts) / other, MUST_BE, note)


def tasks() -> list[Task]:
    """Those of the evaluation that must reach something with one head, and `ALSO`."""
    listed = load_configuration(TASKS, Evaluation).tasks
    return [one for one in listed if (one.target != Mark() and not one.beside) or one.name == ALSO]


def minilm(half: bool, labels: tuple[str, ...]) -> Rate:
    """A text's probabilities by the pretrained encoder under one untrained head: the time is that of a trained one."""
    model, tokenizer = pretrained("minilm")
    reader = PieceReader(tokenizer, LONGEST)
    shape = {"text": HeadShape(labels)}
    network = BaselineNetwork(TransformerBody(model, 0), shape, features=64).eval()
    head = network.head("text")

    @torch.inference_mode()
    def rate(texts: Sequence[str]) -> list[torch.Tensor]:
        ids = sorted((reader.ids(text) for text in texts), key=len)
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return [head(network(*pack(batch)))[0] for batch in batches]

    return rate


def read_texts(source: Source, rater: TextRater) -> list[str]:
    """The first validation texts of a task, as its head reads them."""
    examples = read_examples([source], DATA, rater.labels, heads=rater.shapes)
    texts = [example_text(one) for one in examples if one.division is Division.VALIDATION]
    ends = list(accumulate(map(len, texts)))
    return texts[: bisect(ends, CHARACTERS) + 1]


if __name__ == "__main__":
    main()
