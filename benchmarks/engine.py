"""The RWKV-7 engine against what a user would otherwise take, on one thread.

    python benchmarks/engine.py [--quick] [--only training,streams,features,distilbert,peak]

Features of real texts against the `rwkv` package, llama.cpp and DistilBERT; a training step against chunked PyTorch;
the share of this machine's matrix peak; the cost of a token far into a stream. Every peer computes the same weights'
features first and must agree with ours (DistilBERT has its own). Token ids are folded onto a vocabulary of 512, so
that nobody's time goes into an embedding or a language head. Writes `benchmarks/results/engine.json` and `engine.svg`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from engine_peers import (
    QUANTISATIONS,
    Features,
    Texts,
    distilbert,
    distilbert_settings,
    llama_cpp,
    rwkv_package,
)
from engine_plot import plot
from harness import Row, half_products, line, take_turns, write_rows
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv.checkpoint import model_of
from capitoline.modalities.rwkv.chunked import chunked_time_mix
from capitoline.modalities.rwkv.compiled import compiled_time_mix
from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.fixed import available, fixed_linear
from capitoline.modalities.rwkv.model import RWKV7, LinearProduct
from capitoline.modalities.rwkv.operator import Operator, time_mix
from capitoline.modalities.rwkv.packing import pack
from capitoline.modalities.rwkv.products import Product, product_of
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State
from capitoline.modalities.rwkv.streaming import fork
from capitoline.modalities.rwkv.tokenizer import WorldTokenizer
from capitoline.pipelines.training.memory import keep_freed_memory

DATA = Path(os.environ.get("CAPITOLINE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
VOCABULARY = 512
SIZES = {"4×256": Size(VOCABULARY, 256, 4), "12×768": Size(VOCABULARY, 768, 12)}
BOUNDS = {"4×256": ">= 12", "12×768": ">= 7"}
"""What the ratio to the `rwkv` package must be."""
CORPORA = {"short": ("davidson", 2_000), "long": ("ios_apps", 500)}
FAITHFUL = 0.97
"""Least cosine between a peer's features and ours; Q4_0 falls below it."""
TURNS = 31
"""Of sides that take a second or less, the half of longer ones: shared processors change their pace within seconds, by
several times, and with few turns the sides meet different ones."""
SHARE = {"4×256": 16, "12×768": 160}
"""Of a corpus, every so many-th text is measured: medians need turns more than they need texts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small model only")
    parser.add_argument("--only", default="", help="some of the work, printed and not written: " + ", ".join(WORK))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = dict(list(SIZES.items())[:1]) if arguments.quick else SIZES
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only:
            for name in arguments.only.split(","):
                for row in WORK[name](sizes, Path(folder)):
                    print(line(row), flush=True)
        else:
            plot(write_rows("engine", (row for work in WORK.values() for row in work(sizes, Path(folder)))))


def random_weights(size: Size) -> Mapping[str, Tensor]:
    """An official model moved off its initial values, where half of it is zero."""
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in RWKV7(size, language_head=True).state_dict().items()}
    return {name: _random(name, shape) for name, shape in shapes.items()}


def _random(name: str, shape: torch.Size) -> Tensor:
    noise = torch.randn(shape)
    if name.endswith(("ln0.weight", "ln1.weight", "ln2.weight", "ln_x.weight", "ln_out.weight", "k_a")):
        return 1 + 0.1 * noise
    if len(shape) == 2 and not name.endswith("r_k"):
        return noise * float(shape[-1] if name.endswith(".weight") else shape[0]) ** -0.5
    return 0.5 + 0.1 * noise if ".x_" in name or name.endswith("k_k") else 0.1 * noise


def feature_rows(sizes: Mapping[str, Size], folder: Path) -> Iterator[Row]:
    for name, size in sizes.items():
        yield from feature_rows_of(name, size, folder)


def feature_rows_of(name: str, size: Size, folder: Path) -> Iterator[Row]:
    """Features of short and long texts against the two other implementations of the same model."""
    tensors = random_weights(size)
    ours, package = features_of(Engine(model_of(tensors))), rwkv_package(tensors, folder)
    texts = {corpus: read_texts(corpus, SHARE[name]) for corpus in CORPORA}
    try:
        quantisation, llama = fastest_llama(ours, tensors, size, folder, texts["short"])
    except ImportError:
        quantisation, llama = "", None
    for corpus, some in texts.items():
        work = f"features, {corpus} texts, {name} (tokens/s)"
        yield compare(work, "rwkv package", ours, package, some, BOUNDS[name])
        if llama is None:
            yield missing(work, "llama.cpp", ours, some, ">= 4")
        else:
            yield compare(work, f"llama.cpp {quantisation}", ours, llama, some, ">= 4")


def features_of(engine: Engine) -> Features:
    def features(texts: Texts) -> Tensor:
        ids, offsets = pack(texts)
        return engine.features(ids, offsets)[offsets[1:] - 1]

    return features


def fastest_llama(
    ours: Features, tensors: Mapping[str, Tensor], size: Size, folder: Path, texts: Texts
) -> tuple[str, Features]:
    """The quantisation that is fastest here on some of the texts, of those that keep to the model's output."""
    probe = texts[: max(4, len(texts) // 8)]
    peers = {name: llama_cpp(tensors, size, folder, name) for name in QUANTISATIONS}
    faithful = [(name, peer) for name, peer in peers.items() if likeness(ours, peer, probe) >= FAITHFUL]
    seconds = take_turns([partial(peer, probe) for _, peer in faithful], rounds=1)
    return min(zip(seconds, faithful, strict=True), key=lambda one: one[0])[1]


def likeness(ours: Features, theirs: Features, texts: Texts) -> float:
    """The least cosine between the two features of a text."""
    return functional.cosine_similarity(ours(texts[:8]), theirs(texts[:8])).min().item()


def compare(work: str, peer: str, ours: Features, theirs: Features, texts: Texts, must_be: str) -> Row:
    """Tokens a second of both, taking turns on the same texts."""
    cosine = likeness(ours, theirs, texts)
    if cosine < FAITHFUL:
        raise RuntimeError(f"{peer} computes something else: cosine {cosine:.3f}")
    tokens = sum(map(len, texts))
    mine, other = take_turns([lambda: ours(texts), lambda: theirs(texts)])
    return Row(work, peer, tokens / mine, tokens / other, must_be, f"cosine {cosine:.4f}")


def missing(work: str, peer: str, ours: Features, texts: Texts, must_be: str) -> Row:
    (mine,) = take_turns([lambda: ours(texts)])
    return Row(work, peer, sum(map(len, texts)) / mine, None, must_be, "pip install 'capitoline[bench]'")


def read_texts(corpus: str, share: int) -> list[list[int]]:
    """Token ids of real texts, folded onto the vocabulary."""
    file, count = CORPORA[corpus]
    with gzip.open(DATA / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [str(json.loads(line)["text"]) for line, _ in zip(lines, range(count), strict=False)]
    tokenizer = WorldTokenizer()
    return [[1 + token % (VOCABULARY - 1) for token in tokenizer.encode(text)] or [1] for text in texts[::share]]


def distilbert_rows(sizes: Mapping[str, Size], _: Path) -> Iterator[Row]:
    """12×768 against a transformer of the same width, for each parameter outside the embedding."""
    if "12×768" not in sizes:
        return
    model = model_of(random_weights(SIZES["12×768"]))
    engine = Engine(model)
    for length, must_be in ((128, ">= 1"), (512, ">= 1.5"), (2_048, ">= 2.5")):
        work = f"12×768, {length} tokens (tokens/s × parameters)"
        ids = torch.randint(1, VOCABULARY, (max(1, 512 // length), length))
        offsets = torch.arange(0, ids.numel() + 1, length)
        flat = ids.flatten()
        settings = fastest_distilberts(ids)
        peers, theirs = zip(*(distilbert(length, setting) for setting in settings), strict=True)
        sides = [partial(engine.features, flat, offsets), *(partial(peer, ids) for peer in peers)]
        mine, *others = (ids.numel() / seconds for seconds in take_turns(sides, TURNS // 2))
        best = int(np.argmax(others))
        peer = f"DistilBERT, {settings[best]}"
        yield Row(work, peer, mine * parameters(model), others[best] * theirs[best], must_be)


def fastest_distilberts(ids: Tensor) -> list[str]:
    """The two settings that are fastest here at this length, at a glance: which of them is, more turns say."""
    settings = distilbert_settings()
    peers = [distilbert(ids.shape[1], setting)[0] for setting in settings]
    taken = take_turns([partial(peer, ids[:1]) for peer in peers])
    return [settings[int(place)] for place in np.argsort(taken)[:2]]


def parameters(model: RWKV7) -> int:
    """Outside the embedding and the language head."""
    return sum(one.numel() for name, one in model.named_parameters() if name.split(".")[0] not in ("emb", "head"))


def training_rows(*_: object) -> Iterator[Row]:
    """A step on 32 texts of 64 tokens, in each arithmetic, and with the chunked operator; and its parts alone."""
    keep_freed_memory()
    model = model_of(random_weights(SIZES["4×256"]))
    ids = torch.randint(1, VOCABULARY, (2_048,))
    offsets = torch.arange(0, 2_049, 64)

    def step(operator: Operator, product: LinearProduct, half: bool) -> None:
        model.multiply_with(product)
        for block in model.layers:
            block.att.operator = operator
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model(ids, offsets)[0].square().mean()
        torch.autograd.backward(loss)

    weights = matrices(model)
    rows = {width: torch.randn(len(ids), width) for weight in weights for width in weight.shape}
    ours = [("float32", functional.linear, False)]
    ours += [("int16", fixed_linear, False)] if available() else []
    ours += [("bfloat16", functional.linear, True)] if half_products() else []
    theirs = [("float32", False), *([("bfloat16", True)] if half_products() else [])]
    sides = [partial(step, time_mix, product, half) for _, product, half in ours]
    sides += [partial(step, chunked_time_mix, functional.linear, half) for _, half in theirs]
    *taken, alone = take_turns([*sides, partial(multiply, weights, rows)], TURNS // 2)
    peers = {name: len(ids) / seconds for (name, _), seconds in zip(theirs, taken[len(ours) :], strict=True)}
    for (name, _, _), seconds in zip(ours, taken, strict=False):
        same = name if name in peers else "float32"
        work = f"training step, 4×256, {name} (tokens/s)"
        yield Row(work, f"chunked PyTorch, {same}", len(ids) / seconds, peers[same], ">= 3")
    yield Row(
        "its matrix products alone (tokens/s)", "chunked PyTorch, float32", len(ids) / alone, peers["float32"], "",
        "float32",
    )  # fmt: skip
    found, other = take_turns([lambda: operate(compiled_time_mix), lambda: operate(chunked_time_mix)])
    yield Row("its operator alone (token-heads/s)", "chunked PyTorch", 4_096 / found, 4_096 / other, "")


def matrices(model: RWKV7) -> list[Tensor]:
    """What the layers multiply tokens with."""
    named = [(name, one) for name, one in model.named_parameters() if one.ndim == 2 and not name.endswith("r_k")]
    return [one.detach() for name, one in named if name.startswith("blocks")]


def multiply(weights: Sequence[Tensor], rows: Mapping[int, Tensor]) -> None:
    """The three products of each weight in a step: forward, and the gradients of both its sides."""
    for weight in weights:
        right, left = (rows[width] for width in weight.shape)
        for first, second in ((left, weight.t()), (right, weight), (right.t(), left)):
            first @ second


def operate(operator: Operator) -> None:
    """Forward and backward of the recurrence, four heads, sixteen sequences of 64 tokens."""
    generator = torch.Generator().manual_seed(0)
    r, w, k, v, a, b = torch.randn(6, 1_024, 4, 64, generator=generator)
    a = functional.normalize(a, dim=-1)
    given = [tensor.requires_grad_() for tensor in (r, w, k, v, a, -a * torch.sigmoid(b))]
    given = [tensor.detach().requires_grad_() for tensor in given]
    y, _ = operator(*given, torch.arange(0, 1_025, 64), torch.zeros(16, 4, 64, 64))  # type: ignore[call-arg]
    torch.autograd.backward(y.sum())


def peak_rows(sizes: Mapping[str, Size], _: Path) -> Iterator[Row]:
    """Operations of the forward pass's products, against the fastest product of this type measured here."""
    if "12×768" not in sizes:
        return
    model = model_of(random_weights(SIZES["12×768"]))
    engine = Engine(model)
    ids, offsets = torch.randint(1, VOCABULARY, (1_024,)), torch.arange(0, 1_025, 128)
    dtype = torch.bfloat16 if engine.dtype == torch.bfloat16 else torch.float32
    shapes = [(1_024, 3_072, 768), (1_024, 768, 768), (256, 768, 768), (256, 768, 3_072), (256, 1_024, 256)]
    products = [product_of(torch.randn(outputs, inputs), engine.dtype) for _, inputs, outputs in shapes]
    lefts = [torch.randn(rows, inputs).to(dtype) for rows, inputs, _ in shapes]
    repeats = [int(4e10 / (2 * math.prod(shape))) for shape in shapes]

    def multiply_often(product: Product, left: Tensor, count: int) -> None:
        for _ in range(count):
            product(left)

    sides = [partial(multiply_often, *one) for one in zip(products, lefts, repeats, strict=True)]
    mine, *others = take_turns([partial(engine.features, ids, offsets), *sides], TURNS)
    rates = [
        2e-9 * math.prod(shape) * count / taken for shape, count, taken in zip(shapes, repeats, others, strict=True)
    ]
    done, best = 2e-9 * sum(one.numel() for one in matrices(model)) * 1_024 / mine, int(np.argmax(rates))
    note = "fastest at " + "×".join(map(str, shapes[best]))
    yield Row("12×768 forward (GFLOP/s)", f"matrix peak, {str(engine.dtype)[6:]}", done, rates[best], ">= 0.7", note)


def stream_rows(*_: object) -> Iterator[Row]:
    """One token for each of 64 streams that have read 1,000, 10,000 or 100,000: milliseconds a token."""
    engine = Engine(model_of(random_weights(SIZES["4×256"])))
    state, read, states = State.zeros(engine.size, 1), 0, []
    for position in (1_000, 10_000, 100_000):
        ids = torch.randint(1, VOCABULARY, (position - read,))
        _, state = engine.hidden(ids, torch.tensor([0, position - read]), state)
        states.append(fork(state, 64))
        read = position
    ids, offsets = torch.randint(1, VOCABULARY, (64,)), torch.arange(65)
    feeding = [partial(engine.hidden, ids, offsets, one) for one in states]
    near, middle, far = (1e3 / 64 * seconds for seconds in take_turns(feeding, 31))
    yield Row("64 streams, token 10,000 (ms)", "token 1,000", middle, near, "<= 1.05")
    yield Row("64 streams, token 100,000 (ms)", "token 1,000", far, near, "<= 1.05")


WORK: dict[str, Callable[[Mapping[str, Size], Path], Iterator[Row]]] = {
    "training": training_rows,
    "streams": stream_rows,
    "features": feature_rows,
    "distilbert": distilbert_rows,
    "peak": peak_rows,
}


if __name__ == "__main__":
    main()
