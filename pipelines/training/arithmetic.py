"""In what arithmetic a training multiplies matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from capitoline.configs.training import Training
from capitoline.modalities.rwkv.fixed import available, fixed_linear
from capitoline.modalities.rwkv.model import RWKV7

FULL = 128
"""Elements of a step are filled up to a multiple of so many, if they are multiplied in bfloat16."""


def check_arithmetic(settings: Training) -> None:
    """Raises ValueError: this machine or this model does not know the arithmetic that the settings ask for."""
    if settings.arithmetic != "int16":
        return
    if settings.model != "rwkv":
        raise ValueError(f"arithmetic: int16 is RWKV-7's, and the model is {settings.model!r}: write float32")
    if torch.cuda.is_available() or not available():
        raise ValueError(
            "arithmetic: int16 needs the compiled kernels on a processor with AVX2 and without AVX-512, and no GPU "
            "(`capitoline doctor` says what is here): write float32, or bfloat16 where the processor has it"
        )


def autocast(network: nn.Module, arithmetic: str) -> torch.autocast:
    """The context in which `network` reads: its products in bfloat16 if that is what is asked for."""
    device = next(network.parameters()).device
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic == "bfloat16")


def filled(sequences: Sequence[npt.NDArray[Any]], arithmetic: str) -> list[npt.NDArray[Any]]:
    """In bfloat16 with one more sequence, of zeros, if `sequences` have no multiple of `FULL` elements without it.

    oneDNN compiles its products anew for each number of rows; so there are a dozen of them, not thousands.
    """
    if arithmetic != "bfloat16":
        return [*sequences]
    missing = -sum(map(len, sequences)) % FULL
    filler = [np.zeros((missing, *sequences[0].shape[1:]), sequences[0].dtype)] if missing else []
    return [*sequences, *filler]


def set_arithmetic(body: RWKV7, arithmetic: str) -> None:
    """Have the body multiply in fixed point if that is what is asked for."""
    if arithmetic == "int16":
        body.multiply_with(fixed_linear)
