"""The linear half of a text network in training: `modalities.language.wide` asked about examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from capitoline.modalities.language.wide import HEADS, IDF, Wide
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.inputs import Inputs

Array = npt.NDArray[np.float32]


class WideHalf:
    """What `fit_wide` has learned: rates sequences, and is stored beside the network."""

    def __init__(self, idf: Array, weights: dict[str, Array], spellings: Sequence[bytes]) -> None:
        self._idf, self._weights = idf, weights
        self._wide = Wide(idf, weights, spellings)

    def added(self, logits: Tensor, inputs: Inputs, examples: Sequence[Example], head: str) -> Tensor:
        """(N, A, K-1) logits of the trunk's half and this one's together; the trunk's alone if `head` has no other."""
        found = self._wide([inputs.sequence(one, None) for one in examples], [head])
        return logits + torch.from_numpy(found[head]).view(logits.shape) if head in found else logits

    def tensors(self) -> dict[str, Tensor]:
        """By their names in a weight file."""
        named = {HEADS + name: torch.from_numpy(one) for name, one in self._weights.items()}
        return {IDF: torch.from_numpy(self._idf)} | named
