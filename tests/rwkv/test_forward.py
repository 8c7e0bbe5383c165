"""The forward pass without PyTorch gives what the model gives, with kernels and without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from capitoline.modalities.rwkv.forward import Forward
from capitoline.modalities.rwkv.library import operator_available
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.steps import CompiledSteps, PlainSteps, Steps, best_steps
from capitoline.modalities.rwkv.whole_layers import Kind, best_kind
from tests.rwkv.official import random_batch, random_model

LENGTHS = [70, 1, 0, 130, 9, 0, 3, 0]
CHOICES: dict[str, Callable[[int, int], Steps]] = {
    "kernels": best_steps,
    "numpy": lambda head_size, _: PlainSteps(head_size),
}


@pytest.fixture(params=CHOICES)
def choose(request: pytest.FixtureRequest) -> Callable[[int, int], Steps]:
    if request.param == "kernels" and not operator_available():
        pytest.skip("no compiled kernels here")
    return CHOICES[request.param]


def forward_of(model: RWKV7, choose: Callable[[int, int], Steps]) -> Forward:
    return Forward({name: tensor.numpy() for name, tensor in model.state_dict().items()}, choose)


def assert_same(ours: np.ndarray, theirs: torch.Tensor) -> None:
    """Within a hundred-thousandth of the largest: single values near zero have no relative precision."""
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-5 * theirs.abs().max().item())


def test_token_ids_give_what_the_model_gives(choose: Callable[[int, int], Steps]) -> None:
    model = random_model(Size(500, 128, 3))
    ids, offsets = random_batch(500, LENGTHS)
    assert_same(forward_of(model, choose)(ids.numpy(), offsets.numpy()), model(ids, offsets)[0])


def test_vectors_give_what_the_model_gives_and_are_not_changed(choose: Callable[[int, int], Steps]) -> None:
    model = random_model(Size(0, 64, 2))
    vectors, offsets = torch.randn(sum(LENGTHS), 64), random_batch(2, LENGTHS)[1]
    before = vectors.clone()
    assert_same(forward_of(model, choose)(vectors.numpy(), offsets.numpy()), model(vectors, offsets)[0])
    assert torch.equal(vectors, before)


def test_sixteen_bits_stay_within_their_rounding_and_starts_from_any_state() -> None:
    tensors = {name: tensor.numpy() for name, tensor in random_model(Size(500, 128, 3)).state_dict().items()}
    ids, offsets = (one.numpy() for one in random_batch(500, LENGTHS))
    start = np.random.default_rng(0).normal(size=(3, 2, 64, 64)).astype(np.float32)
    exact = Forward(tensors, start=start)(ids, offsets)
    found = Forward(tensors, start=start, rounded=True)(ids, offsets)
    kind = best_kind()
    assert np.array_equal(found, exact) == (kind is None)
    assert np.linalg.norm(found - exact) < (2e-2 if kind is Kind.HALF else 2e-3) * np.linalg.norm(exact)


@pytest.mark.parametrize("lengths", [LENGTHS, [700, 3, 0, 1300, 40, 501, 0], [512, 512], [2000]])
def test_states_that_are_not_kept_change_nothing(lengths: list[int]) -> None:
    """Texts go on from one tile of tokens to the next, and over several, without states of their own, too."""
    tensors = {name: tensor.numpy() for name, tensor in random_model(Size(500, 128, 3)).state_dict().items()}
    ids, offsets = (one.numpy() for one in random_batch(500, lengths))
    kept = Forward(tensors, start=np.zeros((3, 2, 64, 64), np.float32), rounded=True)
    forgetting = Forward(tensors, rounded=True)
    for _ in range(2):  # nothing is left from the call before
        assert np.array_equal(forgetting(ids, offsets), kept(ids, offsets))


def test_sizes_without_kernels_are_computed_in_numpy() -> None:
    for size in (Size(50, 64, 2, head_size=32), Size(50, 64, 1, feed_forward=72)):
        model = random_model(size)
        ids, offsets = random_batch(50, [20, 3])
        assert_same(forward_of(model, best_steps)(ids.numpy(), offsets.numpy()), model(ids, offsets)[0])


def test_the_kernels_are_used_where_there_are_some() -> None:
    assert isinstance(best_steps(64, 256), CompiledSteps) == operator_available()


def test_a_file_without_the_unused_tensors_of_the_first_layer_will_do() -> None:
    model = random_model(Size(50, 64, 1))
    tensors = {
        name: tensor.numpy() for name, tensor in model.state_dict().items() if ".att.v" not in name or "value" in name
    }
    ids, offsets = random_batch(50, [5])
    assert_same(Forward(tensors)(ids.numpy(), offsets.numpy()), model(ids, offsets)[0])


@pytest.mark.parametrize(
    "name", ["ln_out.bias", "blocks.1.att.w2", "blocks.1.att.output.weight", "blocks.0.ffn.value.weight"]
)
def test_tensors_that_do_not_fit_each_other_are_refused_before_a_kernel_sees_them(name: str) -> None:
    tensors = {name: tensor.numpy() for name, tensor in random_model(Size(50, 64, 2)).state_dict().items()}
    with pytest.raises(ValueError, match="reshape"):
        Forward(tensors | {name: tensors[name][1:]})


def test_it_imports_no_torch() -> None:
    check = "import sys, capitoline.modalities.rwkv.forward as _; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
