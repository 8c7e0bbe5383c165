"""Labelled examples → the sequences that a network reads, one class for each kind of weights.

Each draws its augmentation from the generator it is given; without one it gives exactly what
an expert would see, so that training and serving cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.films import VideoInputs
from capitoline.pipelines.training.pictures import ImageInputs
from capitoline.pipelines.training.texts import TextInputs

Array = npt.NDArray[Any]


class Inputs(Protocol):
    """Makes sequences of examples, and says what a weight file must hold beside the network."""

    vocabulary: int
    """Token ids; 0 if vectors go in."""
    vector: int
    """Width of the vectors; 0 if ids go in."""

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """To train on, augmented by `draw`; without one, to choose on."""
        ...

    def read_by(self, example: Example) -> Hashable:
        """Equal for examples that read the same: the network need not read it for each of them."""
        ...

    def served(self, example: Example) -> list[Array]:
        """All that an expert would read, of which the most severe part speaks for the example."""
        ...

    def reason(self, example: Example) -> Array | None:
        """Token ids of why the example has its label, if that is known and to be learned."""
        ...

    def metadata(self) -> dict[str, Any]: ...

    def tensors(self) -> dict[str, Array]: ...


INPUTS: dict[str, Callable[[Sequence[Example], Training, Path, Sequence[int] | None], Inputs]] = {
    "text": TextInputs,
    "image": ImageInputs,
    "video": VideoInputs,
}
