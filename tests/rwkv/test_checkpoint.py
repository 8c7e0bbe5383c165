"""Official files are read and written as they are, and nothing else is taken for one."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from capitoline.modalities.rwkv.checkpoint import UNUSED, load_model, model_of, size_of, write_tensors
from capitoline.modalities.rwkv.size import Size
from tests.rwkv.official import random_batch, random_checkpoint

SIZE = Size(100, 128, 2, feed_forward=320, gate_rank=96)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return random_checkpoint(SIZE)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_written_checkpoint_is_read_back_exactly(tensors: dict[str, Tensor], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    write_tensors(path, tensors)
    model = load_model(path)
    assert model.size == SIZE
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())


def test_the_names_and_shapes_are_the_official_ones(tensors: dict[str, Tensor]) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layer = {name.removeprefix("blocks.1."): shape for name, shape in shapes.items() if name.startswith("blocks.1.")}
    vectors = ("x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "w0", "a0", "v0", "k_k", "k_a")
    ranks = {"w": 32, "a": 32, "v": 32, "g": 96}
    expected: dict[str, tuple[int, ...]] = {f"att.{name}": (1, 1, 128) for name in vectors}
    expected |= {f"att.{name}1": (128, rank) for name, rank in ranks.items()}
    expected |= {f"att.{name}2": (rank, 128) for name, rank in ranks.items()}
    expected |= {f"att.{name}.weight": (128, 128) for name in ("receptance", "key", "value", "output")}
    expected |= {f"{norm}.{part}": (128,) for norm in ("ln1", "ln2", "att.ln_x") for part in ("weight", "bias")}
    expected |= {"att.r_k": (2, 64), "ffn.x_k": (1, 1, 128)}
    expected |= {"ffn.key.weight": (320, 128), "ffn.value.weight": (128, 320)}
    assert layer == expected
    outside = {name for name in shapes if not name.startswith("blocks.")}
    assert outside == {"emb.weight", "head.weight", "ln_out.weight", "ln_out.bias"}
    assert "blocks.0.ln0.weight" in shapes and "blocks.1.ln0.weight" not in shapes


def test_a_file_without_the_unused_tensors_gives_the_same_model(tensors: dict[str, Tensor]) -> None:
    without = {name: tensor for name, tensor in tensors.items() if name not in UNUSED}
    ids, offsets = random_batch(100, [9])
    assert torch.equal(model_of(without)(ids, offsets)[0], model_of(tensors)(ids, offsets)[0])


def test_a_bfloat16_file_gives_a_float32_model(tensors: dict[str, Tensor]) -> None:
    model = model_of({name: tensor.bfloat16() for name, tensor in tensors.items()})
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_tensors_that_are_not_a_model_are_refused(tensors: dict[str, Tensor]) -> None:
    for wrong in (
        {},
        {**tensors, "extra": torch.zeros(1)},
        {**tensors, "blocks.1.att.w2": torch.zeros(3, 3)},
        {name: tensor for name, tensor in tensors.items() if name != "blocks.1.ffn.value.weight"},
    ):
        with pytest.raises(ValueError, match="RWKV-7"):
            model_of(wrong)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    (tmp_path / "model.pth").write_bytes(pickle.dumps({"emb.weight": Harmful()}))
    torch.save({"emb.weight": Harmful()}, tmp_path / "zipped.pth")
    for name in ("model.pth", "zipped.pth"):
        with pytest.raises(ValueError, match=name):
            size_of(load_model(tmp_path / name).state_dict())
    assert not (tmp_path / "executed").exists()


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("cut.pth", "cut.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 cut short")
        with pytest.raises(ValueError, match=name):
            load_model(tmp_path / name)
    with pytest.raises(ValueError, match=r"gone\.pth"):
        load_model(tmp_path / "gone.pth")
