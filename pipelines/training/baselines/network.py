"""Baselines that are trained by gradients: another body under our heads, through our trainer's own loop.

Legend:  B = sequences, T = tokens of all sequences, C = width of the body, A = axes, K = levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from capitoline.configs.training import Training
from capitoline.modalities.networks.heads import OrdinalHead
from capitoline.modalities.networks.losses import LINKS
from capitoline.modalities.networks.ordinal import HeadShape, decide, head_shapes
from capitoline.modalities.networks.rater import Ratings
from capitoline.modalities.networks.sequence import RatingNetwork, pack, pool
from capitoline.modalities.weights import read_weights, write_weights
from capitoline.pipelines.training.arithmetic import autocast
from capitoline.pipelines.training.baselines.lstm import LstmBody
from capitoline.pipelines.training.baselines.readers import (
    PieceReader,
    Reader,
    ReadInputs,
    WorldReader,
    restored,
)
from capitoline.pipelines.training.baselines.saving import common_metadata
from capitoline.pipelines.training.baselines.transformer import SHAPES, TransformerBody, fresh, pretrained
from capitoline.pipelines.training.corpus import Rows, head_shapes_of, targets
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.loop import Loop
from capitoline.pipelines.training.peers import Peers
from capitoline.pipelines.training.prediction import calibrate
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.texts import example_text, used_tokens

HEAD_RATE = 1e-3
RATES = {"lstm": 1e-3, "distilbert": 3e-4, "roberta": 3e-4, "minilm": 1e-4, "hub": 3e-5}
"""Peak learning rate of the body for steps of `BATCH`, by family: pretrained ones are changed slowly, or they forget.

For larger steps it grows with their square root (arXiv:2205.10287)."""
POSITIONS = 512
"""Most tokens that pretrained encoders have learned positions of."""
BATCH = 32
"""Sequences read at once."""

Body = LstmBody | TransformerBody


class BaselineNetwork(nn.Module):
    """As `RatingNetwork`, around another body."""

    def __init__(self, body: Body, heads: Mapping[str, HeadShape], features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.heads = nn.ModuleDict(
            {name: OrdinalHead(2 * body.width, features, shape, dropout) for name, shape in heads.items()}
        )

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(T,) ids with offsets (B+1,) → pooled (B, 2C)."""
        return pool(self.hidden(ids, offsets), offsets)

    def hidden(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(T, C), one vector a token."""
        hidden: Tensor = self.body(ids, offsets)
        return hidden

    def head(self, name: str) -> OrdinalHead:
        head = self.heads[name]
        assert isinstance(head, OrdinalHead)
        return head


def fit(settings: Training, rows: Rows, folder: RunFolder) -> Path:
    """Train `settings.model` on `rows`; the path of its weights in `folder`."""
    torch.manual_seed(settings.seed)
    window = min(settings.window, POSITIONS)
    body, described, reader = _begin(settings, rows, window)
    shapes, sizes = head_shapes_of(settings), settings.network
    network = BaselineNetwork(body, shapes, sizes.features, sizes.dropout)
    _train(network, ReadInputs(reader, rows.all), rows, settings, folder)
    metadata = common_metadata(settings, {name: network.head(name).shape for name in shapes})
    metadata |= {"body": described, "window": window, "features": sizes.features}
    path = folder.path / f"{settings.name}.safetensors"
    write_weights(path, network.state_dict() | reader.tensors(), metadata)
    return path


def _train(network: BaselineNetwork, inputs: ReadInputs, rows: Rows, settings: Training, folder: RunFolder) -> None:
    """In place; it ends as it was after its best epoch, calibrated."""
    rate = RATES[settings.model.split(":")[0]] * math.sqrt(settings.batch / BATCH)
    slower = settings.model_copy(update={"rate": HEAD_RATE, "trunk_rate": rate / HEAD_RATE})
    taught = targets(rows.train, head_shapes_of(settings), settings.balance)
    # The loop asks of a network what this one has: `hidden`, `head`, and to be a module.
    trainee = cast(RatingNetwork, network.to("cuda" if torch.cuda.is_available() else "cpu"))
    Loop(trainee, rows, inputs, taught, slower, folder, Peers()).run()
    with autocast(trainee.cpu(), settings.arithmetic):
        calibrate(trainee, inputs, rows.selection, [name for name, head in settings.heads.items() if head.decide_for])


def _begin(settings: Training, rows: Rows, window: int) -> tuple[Body, dict[str, Any], Reader]:
    """The untrained body, what describes it, and what reads for it."""
    if settings.model not in ("lstm", *SHAPES):
        model, tokenizer = pretrained(settings.model)
        body = TransformerBody(model, 0)
        body.freeze(settings.frozen)
        return body, model.config.to_dict(), PieceReader(tokenizer, window)
    reader = WorldReader(used_tokens(map(example_text, rows.train), settings), window)
    width, layers = settings.network.width, settings.network.layers
    if settings.model == "lstm":
        described = {"vocabulary": reader.vocabulary, "width": width, "layers": layers}
    else:
        described = SHAPES[settings.model](reader.vocabulary + 1, width, layers, window).to_dict()
    return _body(settings.model, described), described, reader


def _body(model: str, described: dict[str, Any]) -> Body:
    if model == "lstm":
        return LstmBody(**described)
    return TransformerBody(fresh(described), int(model in SHAPES))


class NetworkExamples:
    """A baseline's weight file, asked about texts, sorted by length so that little padding is computed.

    Raises:
        ValueError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        tensors, metadata = read_weights(path, "text")
        self.heads = head_shapes(metadata)
        self._reader = restored(tensors, metadata["window"])
        self._network = BaselineNetwork(_body(metadata["model"], metadata["body"]), self.heads, metadata["features"])
        weights = {name: tensor for name, tensor in tensors.items() if not name.startswith("reader.")}
        self._network.load_state_dict(weights)
        self._network.eval()

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        """Ratings by the head of the examples."""
        name = examples[0].source.head
        shape = self.heads[name]
        probabilities = self.by_heads([example_text(one) for one in examples], [name])[name].numpy()
        if shape.is_one_axis:
            probabilities = probabilities[:, 0]
        nothing = np.zeros((len(examples), 0), np.float32)
        return Ratings(probabilities, nothing, decide(probabilities, shape.down_cost))

    def halve(self) -> None:
        """Read in bfloat16 from now on: the weights are rounded once, which under autocast they are at each call."""
        self._network.body.bfloat16()

    @torch.inference_mode()
    def by_heads(self, texts: Sequence[str], heads: Sequence[str]) -> dict[str, Tensor]:
        """Head → (B, A, K) probabilities of texts, which are read but once."""
        ids = [self._reader.ids(text) for text in texts]
        order = np.argsort([len(one) for one in ids], kind="stable")
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        pooled = torch.cat([self._network(*pack([ids[row] for row in batch])) for batch in batches])
        pooled = pooled[torch.from_numpy(np.argsort(order))]
        return {head: self._probabilities(pooled, head) for head in heads}

    def _probabilities(self, pooled: Tensor, name: str) -> Tensor:
        head = self._network.head(name)
        return LINKS[head.shape.link](head(pooled)[0]).exp()
