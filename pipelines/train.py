"""Training of a weight file: one program for text and tags, pictures and films.

    train(Path("configs/train/text.yaml"), Path("runs/text"), Path("../shared/data"))

The run's folder holds `config.json`, `environment.json`, `metrics.jsonl` (a line an epoch),
`checkpoint.pt` (to continue after an interruption), `<name>.safetensors` and its card
`<name>.md`. The same configuration, data and machine give the same weights, interrupted or not.

Epoch and temperature are chosen on rows held out of training; the validation rows are looked
at once, at the end, to be reported.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.heads import fit_temperature, ordinal_loss
from capitoline.modalities.sequence import RatingNetwork, Shape, network_metadata, pack
from capitoline.modalities.weights import write_weights
from capitoline.pipelines.evaluate import open_rater
from capitoline.pipelines.evaluation.metrics import Figures, measure
from capitoline.pipelines.training.card import write_card
from capitoline.pipelines.training.corpus import Corpus, by_head, gather, rows_by_head
from capitoline.pipelines.training.dataset import Example, severities_of
from capitoline.pipelines.training.inputs import Inputs
from capitoline.pipelines.training.optimiser import cosine, make_optimiser, set_rate

CHECKPOINT = "checkpoint.pt"


def train(config_path: Path, out: Path, data: Path) -> Path:
    """Train what `config_path` describes on files under `data`; the path of the weights in `out`.

    A run that was interrupted in `out` is continued.

    Raises:
        ValueError: the configuration or the data cannot be read, or `out` holds another run.
    """
    settings = load_configuration(config_path, Training)
    _open_run(out, settings)
    corpus = gather(settings, data)
    torch.manual_seed(settings.seed)
    heads = sorted({source.head for source in settings.sources})
    network = RatingNetwork(_shape(settings, corpus.inputs), heads, settings.network.dropout)
    best = _fit(network, corpus, settings, out)
    network.load_state_dict(best)
    _calibrate(network, corpus)
    return _ship(network, corpus, settings, out, data)


def _open_run(out: Path, settings: Training) -> None:
    out.mkdir(parents=True, exist_ok=True)
    config, text = out / "config.json", settings.model_dump_json(indent=2)
    if config.exists() and config.read_text(encoding="utf-8") != text:
        raise ValueError(f"{out} holds a run of another configuration; give --out another folder")
    config.write_text(text, encoding="utf-8")
    environment = {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}
    (out / "environment.json").write_text(json.dumps(environment, indent=2), encoding="utf-8")


def _shape(settings: Training, inputs: Inputs) -> Shape:
    sizes = settings.network
    return Shape(sizes.width, sizes.layers, sizes.features, len(settings.labels), inputs.vocabulary, inputs.vector)


def _fit(network: RatingNetwork, corpus: Corpus, settings: Training, out: Path) -> dict[str, Tensor]:
    """Train through all epochs; the tensors after the epoch that did best on the selection rows."""
    optimiser = make_optimiser(network, settings.rate, settings.decay)
    first, lowest, best = 0, float("inf"), _copy(network)
    if (out / CHECKPOINT).exists():
        state = torch.load(out / CHECKPOINT, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        first, lowest, best = state["epoch"] + 1, state["lowest"], state["best"]
    for epoch in range(first, settings.epochs):
        started = time.perf_counter()
        loss = _train_epoch(network, optimiser, corpus, settings, epoch)
        held_out = _selection_loss(network, corpus)
        if held_out < lowest:
            lowest, best = held_out, _copy(network)
        seconds = round(time.perf_counter() - started, 1)
        _log(out, {"epoch": epoch, "loss": loss, "selection_loss": held_out, "seconds": seconds})
        state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
        _save(out, state | {"epoch": epoch, "lowest": lowest, "best": best})
    return best


def _save(out: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint under another name first, so that there is always a whole one."""
    partial = out / f"{CHECKPOINT}.partial"
    torch.save(state, partial)
    partial.replace(out / CHECKPOINT)


def _train_epoch(
    network: RatingNetwork, optimiser: torch.optim.AdamW, corpus: Corpus, settings: Training, epoch: int
) -> float:
    """One pass over the training rows; the mean loss."""
    # Seeded by epoch, so that a continued run draws what an undisturbed one would have drawn.
    draw = np.random.default_rng((settings.seed, epoch))
    torch.manual_seed(settings.seed * 1_000 + epoch)
    order = draw.permutation(len(corpus.train))
    batches = np.array_split(order, -(-len(order) // settings.batch))
    total = 0.0
    network.train()
    with Progress() as progress:
        task = progress.add_task(f"epoch {epoch + 1}/{settings.epochs}", total=len(batches))
        for index, rows in enumerate(batches):
            step, steps = epoch * len(batches) + index, settings.epochs * len(batches)
            set_rate(optimiser, settings.rate * cosine(step, steps, settings.warmup))
            total += _step(network, optimiser, [corpus.train[row] for row in rows], corpus, settings, draw)
            progress.update(task, advance=1, description=f"epoch {epoch + 1}: loss {total / (index + 1):.3f}")
    return total / len(batches)


def _step(
    network: RatingNetwork,
    optimiser: torch.optim.AdamW,
    examples: Sequence[Example],
    corpus: Corpus,
    settings: Training,
    draw: np.random.Generator,
) -> float:
    inputs, offsets = pack([corpus.inputs.sequence(one, draw) for one in examples])
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
        pooled = network(inputs, offsets)
    loss = torch.zeros(())
    for head, rows in rows_by_head(examples).items():
        logits, _ = network.head(head)(pooled[rows])
        chosen = [examples[row] for row in rows]
        loss = loss + _loss(logits, chosen, corpus.weights[head]) * len(rows) / len(examples)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _loss(logits: Tensor, examples: Sequence[Example], label_weights: npt.NDArray[np.float32]) -> Tensor:
    severities = severities_of(examples)
    weights = label_weights[severities] * np.array([one.source.weight for one in examples], np.float32)
    return ordinal_loss(logits, torch.from_numpy(severities), torch.from_numpy(weights))


@torch.inference_mode()
def predict(network: RatingNetwork, inputs: Inputs, examples: Sequence[Example], head: str, batch: int = 128) -> Tensor:
    """(N, K-1) logits of `head`, as an expert would compute them."""
    network.eval()
    parts = []
    for start in range(0, len(examples), batch):
        packed = pack([inputs.sequence(one, None) for one in examples[start : start + batch]])
        parts.append(network.head(head)(network(*packed))[0])
    return torch.cat(parts)


def _selection_loss(network: RatingNetwork, corpus: Corpus) -> float:
    """Mean over the heads of the loss that is left once the temperature is fitted.

    A net that has learned more is often over-confident first; the temperature repairs that.
    """
    losses = []
    for head, examples in by_head(corpus.selection).items():
        logits = predict(network, corpus.inputs, examples, head)
        temperature = fit_temperature(logits, torch.from_numpy(severities_of(examples)))
        losses.append(_loss(logits / temperature, examples, np.ones(logits.shape[1] + 1, np.float32)).item())
    return float(np.mean(losses))


def _calibrate(network: RatingNetwork, corpus: Corpus) -> None:
    for head, examples in by_head(corpus.selection).items():
        logits = predict(network, corpus.inputs, examples, head)
        network.head(head).temperature.fill_(fit_temperature(logits, torch.from_numpy(severities_of(examples))))


def _ship(network: RatingNetwork, corpus: Corpus, settings: Training, out: Path, data: Path) -> Path:
    """Write the weights in bfloat16, rate the validation rows with that very file, write figures and card."""
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in network.state_dict().items()}
    tensors |= {name: torch.from_numpy(array) for name, array in corpus.inputs.tensors().items()}
    metadata: dict[str, Any] = {
        "kind": settings.kind,
        "labels": settings.labels,
        "down_cost": settings.down_cost,
        "seed": settings.seed,
        "sources": [source.model_dump(include={"file", "head", "licence"}) for source in settings.sources],
        **network_metadata(network),
        **corpus.inputs.metadata(),
    }
    path = out / f"{settings.name}.safetensors"
    write_weights(path, tensors, metadata)
    figures = _report(path, corpus, settings, data)
    write_weights(path, tensors, metadata | {"validation": {name: one.as_json() for name, one in figures.items()}})
    write_card(out / f"{settings.name}.md", settings, metadata, figures, len(corpus.train))
    return path


def _report(path: Path, corpus: Corpus, settings: Training, data: Path) -> dict[str, Figures]:
    """Figures on the validation rows of each source that has some."""
    figures, rate = {}, open_rater(settings.kind, path, data)
    for source in settings.sources:
        examples = [one for one in corpus.validation if one.source == source]
        if examples:
            ratings = rate(examples)
            name = f"{source.file.split('.')[0]} ({source.head})"
            truth = severities_of(examples)
            figures[name] = measure(truth, ratings.severities, len(settings.labels), ratings.probabilities)
    return figures


def _copy(network: RatingNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _log(out: Path, line: dict[str, Any]) -> None:
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
