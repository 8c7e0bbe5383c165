"""AdamW and the learning rate as the official RWKV-7 training code sets them (RWKV-LM, `train_temp`)."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW

FINAL_SHARE = 0.01
"""Of the peak rate, at the last step."""


def make_optimiser(network: nn.Module, rate: float, decay: float) -> AdamW:
    """Decay only on matrices; `att.w0`, the decay's bias, at twice the rate.

    Each group carries its `scale` of the rate for `set_rate`.
    """
    groups = [
        {"params": [], "weight_decay": 0.0, "scale": 1.0},
        {"params": [], "weight_decay": 0.0, "scale": 2.0},
        {"params": [], "weight_decay": decay, "scale": 1.0},
    ]
    for name, parameter in network.named_parameters():
        matrix = name.endswith(".weight") and parameter.squeeze().ndim >= 2
        groups[1 if name.endswith("att.w0") else 2 if matrix else 0]["params"].append(parameter)  # type: ignore[attr-defined]
    return AdamW(groups, lr=rate, betas=(0.9, 0.99), eps=1e-18, fused=True)


def set_rate(optimiser: AdamW, rate: float) -> None:
    """Give every group `rate` times its scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate at `step`: a linear rise over `warmup`, then half a cosine to `FINAL_SHARE`."""
    fall = 0.5 * (1.0 + math.cos(math.pi * step / max(steps, 1)))
    return min(1.0, (step + 1) / max(warmup, 1)) * (FINAL_SHARE + (1.0 - FINAL_SHARE) * fall)
