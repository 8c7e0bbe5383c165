"""The peers of the engine benchmark, each behind one call: token ids of texts → one feature vector a text."""

from __future__ import annotations

import ast
import contextlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from harness import half_products
from torch import Tensor

from capitoline.modalities.rwkv.checkpoint import write_tensors
from capitoline.modalities.rwkv.size import Size

Texts = Sequence[Sequence[int]]
Features = Callable[[Texts], Tensor]
"""(texts, C): the hidden vector of each text's last token."""

QUANTISATIONS = ("F16", "Q8_0", "Q4_0")


def rwkv_package(tensors: Mapping[str, Tensor], folder: Path) -> Features:
    """The `rwkv` package, one text at a time, with an identity for its language head: it yields hidden vectors."""
    os.environ.update(RWKV_V7_ON="1", RWKV_JIT_ON="1", RWKV_CUDA_ON="0")
    from rwkv.model import RWKV

    width = tensors["ln_out.weight"].numel()
    path = folder / f"package-{width}.pth"
    write_tensors(path, {**tensors, "head.weight": torch.eye(width)})
    with contextlib.redirect_stdout(io.StringIO()):
        model = RWKV(model=str(path.with_suffix("")), strategy="cpu fp32")
    return lambda texts: torch.stack([model.forward(list(text), None)[0] for text in texts])


def llama_cpp(tensors: Mapping[str, Tensor], size: Size, folder: Path, quantisation: str) -> Features:
    """llama.cpp through `xllamacpp`, 16 texts side by side, the last token's embedding. Raises ImportError."""
    import xllamacpp

    path = folder / f"{size.width}-{quantisation}.gguf"
    write_gguf(tensors, size, path, quantisation)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    parameters.embd_normalize = -1
    parameters.n_parallel = 16
    parameters.n_batch = parameters.n_ubatch = 2_048
    parameters.n_ctx = 16 * 2_048
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = -1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)

    def features(texts: Texts) -> Tensor:
        answer = server.handle_embeddings({"input": [list(text) for text in texts]})
        if "data" not in answer:
            raise RuntimeError(f"llama.cpp: {str(answer)[:300]}")
        return torch.tensor([one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])])

    return features


def distilbert(length: int, setting: str) -> tuple[Callable[[Tensor], Tensor], int]:
    """DistilBERT's shape, random weights: ids (texts, tokens) → (texts, C); its parameters but the embedding."""
    from transformers import DistilBertConfig, DistilBertModel

    dtype, attention = setting.split()
    config = DistilBertConfig(max_position_embeddings=max(512, length), attn_implementation=attention)
    model = DistilBertModel(config).eval().to(getattr(torch, dtype))
    inner = sum(one.numel() for one in model.transformer.parameters())
    return lambda ids: torch.no_grad()(model)(input_ids=ids).last_hidden_state[:, 0], inner


def distilbert_settings() -> list[str]:
    """Types and kinds of attention to choose from. Without bfloat16 in the processor it is emulated, for minutes."""
    dtypes = ("float32", "bfloat16")[: 1 + half_products()]
    return [f"{dtype} {kind}" for dtype in dtypes for kind in ("sdpa", "eager")]


def write_gguf(tensors: Mapping[str, Tensor], size: Size, path: Path, quantisation: str) -> None:
    """The same weights for llama.cpp, whose names these are (gguf's MODEL_TENSOR, rwkv7)."""
    import gguf

    writer = gguf.GGUFWriter(path, "rwkv7")
    _write_header(writer, size)
    kind = gguf.GGMLQuantizationType[quantisation]
    for name, tensor in _gguf_tensors(tensors, size).items():
        array = np.ascontiguousarray(tensor.float().numpy())
        if name.split(".")[-2] in QUANTISED and quantisation != "F32":
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


QUANTISED = {
    *("token_embd", "output", "time_mix_key", "time_mix_value", "time_mix_receptance", "time_mix_output"),
    *("channel_mix_key", "channel_mix_value"),
}


def _write_header(writer: object, size: Size) -> None:
    import gguf

    assert isinstance(writer, gguf.GGUFWriter)
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.layers)
    writer.add_layer_norm_eps(1e-5)
    writer.add_wkv_head_size(size.head_size)
    writer.add_decay_lora_rank(size.decay_rank)
    writer.add_iclr_lora_rank(size.rate_rank)
    writer.add_value_residual_mix_lora_rank(size.value_rank)
    writer.add_gate_lora_rank(size.gate_rank)
    writer.add_feed_forward_length(size.feed_forward)
    writer.add_head_count(0)
    writer.add_vocab_size(size.vocabulary)
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([b"<s>", *_vocabulary(size.vocabulary - 1)])
    kinds = [gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (size.vocabulary - 1)]
    writer.add_token_types(kinds)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def _vocabulary(count: int) -> list[bytes]:
    lines = files("rwkv").joinpath("rwkv_vocab_v20230424.txt").read_text(encoding="utf-8").split("\n")[:count]
    tokens = [ast.literal_eval(line.split(" ", 1)[1].rsplit(" ", 1)[0]) for line in lines]
    return [repr(token if isinstance(token, bytes) else token.encode())[2:-1].encode() for token in tokens]


def _gguf_tensors(tensors: Mapping[str, Tensor], size: Size) -> dict[str, Tensor]:
    found = {
        "token_embd.weight": tensors["emb.weight"],
        "token_embd_norm.weight": tensors["blocks.0.ln0.weight"],
        "token_embd_norm.bias": tensors["blocks.0.ln0.bias"],
        "output_norm.weight": tensors["ln_out.weight"],
        "output_norm.bias": tensors["ln_out.bias"],
        "output.weight": tensors["head.weight"],
    }
    for layer in range(size.layers):
        found |= _gguf_layer({
            name.removeprefix(f"blocks.{layer}."): one
            for name, one in tensors.items() if name.startswith(f"blocks.{layer}.")
        }, f"blk.{layer}.", first=layer == 0)  # fmt: skip
    return found


def _gguf_layer(layer: Mapping[str, Tensor], prefix: str, *, first: bool) -> dict[str, Tensor]:
    mixes = torch.stack([layer[f"att.x_{name}"].reshape(1, 1, -1) for name in "rwkvag"])
    found = {"time_mix_lerp_fused.weight": mixes, "channel_mix_lerp_k.weight": layer["ffn.x_k"].reshape(1, 1, -1)}
    for norm, name in (("ln1", "attn_norm"), ("ln2", "attn_norm_2"), ("att.ln_x", "time_mix_ln")):
        found |= {f"{name}.{part}": layer[f"{norm}.{part}"] for part in ("weight", "bias")}
    for name in "wavg":
        source = "a" if first and name == "v" else name  # the first layer's are never read
        if name != "g":
            found[f"time_mix_{name}0.weight"] = layer[f"att.{source}0"].reshape(-1)
        found |= {f"time_mix_{name}{step}.weight": layer[f"att.{source}{step}"].t() for step in (1, 2)}
    found |= {f"time_mix_{name}.weight": layer[f"att.{name}"].reshape(-1) for name in ("k_k", "k_a", "r_k")}
    for name in ("key", "value", "receptance", "output"):
        found[f"time_mix_{name}.weight"] = layer[f"att.{name}.weight"]
    found |= {f"channel_mix_{name}.weight": layer[f"ffn.{name}.weight"] for name in ("key", "value")}
    return {prefix + name: tensor for name, tensor in found.items()}
