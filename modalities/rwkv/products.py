"""Matrix products of inference, with weights in the layout and type that this processor multiplies fastest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from capitoline.modalities.rwkv.compiled import call
from capitoline.modalities.rwkv.fixed import FIXED, pack
from capitoline.modalities.rwkv.whole_layers import STEP, Kind, best_kind

Product = Callable[[Tensor], Tensor]
"""(T, inputs) → (T, outputs)."""


def best_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it (AVX512-BF16, AMX); fixed point on AVX2; else float32."""
    return {Kind.HALF: torch.bfloat16, Kind.FIXED: FIXED, None: torch.float32}[best_kind()]


def product_of(weight: Tensor, dtype: torch.dtype) -> Product:
    """The product with one weight (outputs, inputs).

    With AVX-512 oneDNN is the faster library, MKL not using it on AMD; without, MKL is (92 against 78 GFLOP/s).
    """
    if dtype == FIXED:
        return fixed_product(weight.detach().float().contiguous())
    weight = weight.detach().to(dtype).contiguous()
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return lambda x: x @ weight.t()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 512)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def fixed_product(weight: Tensor) -> Product:
    """The product in fixed point; float32 where a size is not a multiple of 16."""
    outputs, inputs = weight.shape
    if outputs % STEP or inputs % STEP:
        return lambda x: x @ weight.t()
    packed, scales = pack(weight)

    def product(x: Tensor) -> Tensor:
        out = torch.empty(len(x), outputs)
        call("fixed_product", len(x), inputs, outputs, x, packed, scales, out)
        return out

    return product
