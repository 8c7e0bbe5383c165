"""Matrix products of inference, with weights in the layout and type that this processor multiplies fastest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""(T, inputs) → (T, outputs), both in the engine's dtype."""


def best_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it (AVX512-BF16, AMX), float32 elsewhere."""
    capabilities = torch.cpu.get_capabilities()
    return torch.bfloat16 if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else torch.float32


def product_of(weight: Tensor, dtype: torch.dtype) -> Product:
    """The product with one weight (outputs, inputs).

    With AVX-512 oneDNN is the faster library, MKL not using it on AMD; without, MKL is (92 against 78 GFLOP/s).
    """
    weight = weight.detach().to(dtype).contiguous()
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return lambda x: x @ weight.t()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 512)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
