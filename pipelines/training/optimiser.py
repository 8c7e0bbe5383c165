"""AdamW and the learning rate as the official RWKV-7 training code sets them (RWKV-LM, `train_temp`)."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW

FINAL_SHARE = 0.01
"""Of the peak rate, at the last step."""


HEADS = "heads."
"""What the names of the heads' parameters begin with."""


def make_optimiser(network: nn.Module, rate: float, decay: float, trunk_rate: float = 1.0) -> AdamW:
    """Decay only on matrices; `att.w0`, the decay's bias, at twice the rate; frozen parameters left out.

    Each group carries its `scale` of the rate for `set_rate`. What is no head's learns at `trunk_rate` of it.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            matrix = parameter.squeeze().ndim >= 2 and name.endswith((".weight", ".original", ".a", ".b"))
            scale = (1.0 if name.startswith(HEADS) else trunk_rate) * (2.0 if name.endswith("att.w0") else 1.0)
            groups.setdefault((scale, decay if matrix else 0.0), []).append(parameter)
    listed = [{"params": params, "scale": scale, "weight_decay": one} for (scale, one), params in groups.items()]
    return AdamW(listed, lr=rate, betas=(0.9, 0.99), eps=1e-18, fused=True)


def set_rate(optimiser: AdamW, rate: float) -> None:
    """Give every group `rate` times its scale."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate at `step`: a linear rise over `warmup`, then half a cosine to `FINAL_SHARE`.

    A short run would end before it reaches its rate, so the rise takes half of the steps at most.
    """
    rise = max(min(warmup, steps // 2), 1)
    fall = 0.5 * (1.0 + math.cos(math.pi * step / max(steps, 1)))
    return min(1.0, (step + 1) / rise) * (FINAL_SHARE + (1.0 - FINAL_SHARE) * fall)
