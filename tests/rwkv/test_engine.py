"""The fused engine gives what the model gives, however the sequences are batched or cut."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from capitoline.modalities.rwkv import library
from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.library import kernels
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.packing import pack
from capitoline.modalities.rwkv.products import fixed_product
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State
from capitoline.modalities.rwkv.whole_layers import Kind, WholeLayers, available
from tests.rwkv.official import random_batch, random_model

Forward = Callable[[Tensor, Tensor, State | None], tuple[Tensor, State]]
LENGTHS = [70, 1, 0, 300, 9, 0, 500, 0]


TYPES = {Kind.FIXED: torch.int16, Kind.HALF: torch.bfloat16}


@pytest.fixture(params=Kind, ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Of layers in one call, each that this processor has."""
    found: Kind = request.param
    if not available(found):
        pytest.skip(f"no {found.value} layers: fixed point is for AVX2 without AVX-512, bfloat16 for AVX512-BF16")
    return found


@pytest.fixture(scope="module")
def model() -> RWKV7:
    return random_model(Size(500, 128, 3))


def forwards(model: RWKV7) -> dict[str, Forward]:
    return {"model": torch.no_grad()(model), "engine": Engine(model, torch.float32).hidden}


def test_the_engine_equals_the_model(model: RWKV7) -> None:
    ids, offsets = random_batch(500, LENGTHS)
    with torch.no_grad():
        hidden, state = model(ids, offsets)
    fused, fused_state = Engine(model, torch.float32).hidden(ids, offsets)
    torch.testing.assert_close(fused, hidden, atol=2e-5, rtol=0)
    for ours, theirs in zip(fused_state.tensors, state.tensors, strict=True):
        torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int16])
def test_features_without_states_are_those_with_them(model: RWKV7, dtype: torch.dtype) -> None:
    ids, offsets = random_batch(500, LENGTHS)
    if dtype == torch.int16 and not hasattr(kernels(), "fixed_product"):
        pytest.skip("fixed point is compiled for AVX2 without AVX-512 only")
    engine = Engine(model, dtype)
    assert torch.equal(engine.features(ids, offsets), engine.hidden(ids, offsets)[0])


@pytest.mark.parametrize(("dtype", "mean", "most"), [(torch.bfloat16, 5e-3, 0.05), (torch.int16, 5e-4, 5e-3)])
def test_coarser_products_stay_within_their_rounding(
    model: RWKV7, dtype: torch.dtype, mean: float, most: float
) -> None:
    if dtype == torch.int16 and not hasattr(kernels(), "fixed_product"):
        pytest.skip("fixed point is compiled for AVX2 without AVX-512 only")
    ids, offsets = random_batch(500, LENGTHS)
    exact, exact_state = Engine(model, torch.float32).hidden(ids, offsets)
    rounded, state = Engine(model, dtype).hidden(ids, offsets)
    assert (rounded - exact).abs().mean() < mean
    assert (rounded - exact).abs().max() < most
    assert (state.wkv - exact_state.wkv).abs().mean() < mean


def test_all_layers_in_one_call_are_the_layers_one_by_one(
    model: RWKV7, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, offsets = random_batch(500, LENGTHS)
    begin, together = Engine(model, torch.float32).hidden(ids, offsets)[1], Engine(model, TYPES[kind])
    monkeypatch.setattr(WholeLayers, "fit", lambda *_: False)
    singly = Engine(model, TYPES[kind])
    (found, after), (expected, expected_after) = (one.hidden(ids, offsets, begin) for one in (together, singly))
    rounding = {Kind.FIXED: 2e-4, Kind.HALF: 5e-3}[kind]
    assert (found - expected).abs().mean() < rounding
    for ours, theirs in zip(after.tensors, expected_after.tensors, strict=True):
        assert (ours - theirs).norm() < 5 * rounding * theirs.norm()


def test_layers_in_bfloat16_round_no_more_than_the_layers_one_by_one(
    model: RWKV7, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not available(Kind.HALF):
        pytest.skip("no AVX512-BF16 here")
    ids, offsets = random_batch(500, LENGTHS)
    exact, _ = Engine(model, torch.float32).hidden(ids, offsets)
    together = Engine(model, torch.bfloat16)
    monkeypatch.setattr(WholeLayers, "fit", lambda *_: False)
    singly = Engine(model, torch.bfloat16)
    error, expected = ((one.hidden(ids, offsets)[0] - exact).norm() for one in (together, singly))
    assert error < 1.1 * expected


NARROW = Size(500, 64, 2, decay_rank=16, rate_rank=48, feed_forward=80)
DEEP = Size(500, 832, 1)
"""Wider than what is added up at once, so that sums are put away and fetched again."""
TILES = 6
"""The level with tiles."""


@pytest.fixture
def no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines made from now on multiply bfloat16 by vectors."""
    if TILES in library.allowed_levels():
        monkeypatch.setenv("CAPITOLINE_KERNEL_LEVEL", str(TILES - 1))


@pytest.mark.parametrize("size", [Size(500, 128, 3), NARROW, DEEP])
def test_tiles_and_vectors_compute_alike(size: Size, request: pytest.FixtureRequest) -> None:
    if TILES not in library.allowed_levels() or library.load_level(TILES) is None:
        pytest.skip("no AMX here")
    ids, offsets = random_batch(500, LENGTHS)
    model = random_model(size)
    tiles, _ = Engine(model, torch.bfloat16).hidden(ids, offsets)
    request.getfixturevalue("no_tiles")
    vectors, _ = Engine(model, torch.bfloat16).hidden(ids, offsets)
    assert not torch.equal(tiles, vectors), "both went the same way"
    assert (tiles - vectors).norm() < 5e-3 * vectors.norm()


def test_others_in_the_process_keep_their_tiles(model: RWKV7) -> None:
    left, right = torch.randn(2, 64, 64).bfloat16()
    expected = left @ right
    Engine(model, torch.bfloat16).hidden(*random_batch(500, LENGTHS))
    assert torch.equal(left @ right, expected)


def test_threads_change_nothing(model: RWKV7, kind: Kind) -> None:
    ids, offsets = random_batch(500, LENGTHS)
    engine, threads = Engine(model, TYPES[kind]), torch.get_num_threads()
    expected, _ = engine.hidden(ids, offsets)
    try:
        torch.set_num_threads(3)
        found, _ = engine.hidden(ids, offsets)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found, expected)


def pieces(engine: Engine, ids: Tensor, offsets: Tensor, cut: int) -> tuple[Tensor, State]:
    """What two calls give, the second beginning at a token of the first sequence."""
    streams = offsets.numel() - 1
    first, middle = engine.hidden(ids[:cut], torch.tensor([0, *[cut] * streams]))
    rest, after = engine.hidden(ids[cut:], offsets.clamp(min=cut) - cut, middle)
    return torch.cat((first, rest)), after


def assert_pieces_are_the_whole_to_the_bit(model: RWKV7, kind: Kind, cut: int) -> None:
    ids, offsets = random_batch(500, [700, 41])
    engine = Engine(model, TYPES[kind])
    (whole, state), (joined, after) = engine.hidden(ids, offsets), pieces(engine, ids, offsets, cut)
    assert torch.equal(joined, whole)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(after.tensors, state.tensors, strict=True))


@pytest.mark.parametrize("cut", [16, 304, 640])
def test_pieces_of_whole_chunks_are_to_the_bit_what_the_whole_is(model: RWKV7, kind: Kind, cut: int) -> None:
    assert_pieces_are_the_whole_to_the_bit(model, kind, cut)


@pytest.mark.parametrize("cut", [1, 5, 301])
@pytest.mark.usefixtures("no_tiles")
def test_without_tiles_all_pieces_are_to_the_bit_what_the_whole_is(model: RWKV7, kind: Kind, cut: int) -> None:
    assert_pieces_are_the_whole_to_the_bit(model, kind, cut)


@pytest.mark.parametrize("cut", [1, 5, 301])
def test_any_pieces_in_sixteen_bits_are_the_whole_within_its_rounding(model: RWKV7, kind: Kind, cut: int) -> None:
    ids, offsets = random_batch(500, [700, 41])
    engine = Engine(model, TYPES[kind])
    (whole, state), (joined, after) = engine.hidden(ids, offsets), pieces(engine, ids, offsets, cut)
    exact, _ = Engine(model, torch.float32).hidden(ids, offsets)
    assert (joined - whole).norm() <= (whole - exact).norm()
    assert (after.wkv - state.wkv).norm() <= 5e-3 * state.wkv.norm()


def test_token_by_token_is_the_whole_within_its_rounding(model: RWKV7, kind: Kind) -> None:
    ids, offsets = random_batch(500, [70])
    engine = Engine(model, TYPES[kind])
    whole, _ = engine.hidden(ids, offsets)
    state, found = None, []
    for token in ids:
        hidden, state = engine.hidden(token[None], torch.tensor([0, 1]), state)
        found.append(hidden)
    exact, _ = Engine(model, torch.float32).hidden(ids, offsets)
    assert (torch.cat(found) - whole).norm() <= 1.5 * (whole - exact).norm()


def test_the_slowest_and_the_fastest_decay_stay_within_rounding_over_long_texts(kind: Kind) -> None:
    model = random_model(Size(500, 128, 2))
    with torch.no_grad():
        for layer in model.layers:
            layer.att.w0.copy_(torch.linspace(-12, 12, 128).view_as(layer.att.w0))
    ids, offsets = random_batch(500, [4000])
    exact, after = Engine(model, torch.float32).hidden(ids, offsets)
    found, state = Engine(model, TYPES[kind]).hidden(ids, offsets)
    assert (found - exact)[-100:].norm() < 0.02 * exact[-100:].norm()
    assert (state.wkv - after.wkv).norm() < 0.02 * after.wkv.norm()


def test_what_is_not_a_number_stays_so_and_in_its_own_text(model: RWKV7, kind: Kind) -> None:
    ids, offsets = random_batch(500, [40, 33, 20])
    engine = Engine(model, TYPES[kind])
    expected, _ = engine.hidden(ids, offsets)
    with torch.no_grad():
        vectors = model.embed(ids)
    vectors[50] = torch.nan
    found, _ = engine.hidden(vectors, offsets)
    assert torch.equal(found[:40], expected[:40]) and torch.equal(found[73:], expected[73:])
    assert found[50:73].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_not_a_number_shows_whichever_it_is(model: RWKV7, dtype: torch.dtype) -> None:
    ids, offsets = random_batch(500, [40, 33])
    names = [name for name, _ in model.layers[1].named_parameters()]
    assert len(names) > 20
    for name in names:
        damaged = copy.deepcopy(model)
        with torch.no_grad():
            damaged.layers[1].get_parameter(name).view(-1)[5] = torch.nan
        assert Engine(damaged, dtype).features(ids, offsets).isnan().any(), name


@pytest.mark.parametrize("inputs", [32, 256, 3072])
def test_a_fixed_point_product_is_near_and_never_overflows(inputs: int) -> None:
    if not hasattr(kernels(), "fixed_product"):
        pytest.skip("fixed point is compiled for AVX2 without AVX-512 only")
    torch.manual_seed(0)
    weight = torch.randn(48, inputs)
    weight[0], weight[1], weight[2, 1:] = 3, 0, 0  # all as large as can be, none, a single one
    x = torch.randn(11, inputs)
    x[0], x[1], x[2] = 5, 0, x[2].abs() * 1e20
    exact = x.double() @ weight.double().t()
    error = (fixed_product(weight)(x).double() - exact).abs()
    size = x.double().norm(dim=1, keepdim=True) * weight.double().norm(dim=1)
    assert (error <= 1e-3 * size).all()


def test_the_engine_takes_vectors_and_ids_mixed_in_one_sequence(model: RWKV7) -> None:
    ids, offsets = random_batch(500, [40])
    with torch.no_grad():
        vectors = torch.cat((model.embed(ids[:15]), torch.randn(10, 128), model.embed(ids[15:30])))
        hidden, _ = model(vectors, torch.tensor([0, 40]))
    fused, _ = Engine(model, torch.float32).hidden(vectors, offsets)
    torch.testing.assert_close(fused, hidden, atol=2e-5, rtol=0)


def test_a_head_size_without_kernels_gives_the_same_results_through_the_model() -> None:
    small = random_model(Size(500, 64, 2, head_size=32))
    engine = Engine(small)
    assert not engine.fused
    ids, offsets = random_batch(500, [20, 3])
    with torch.no_grad():
        torch.testing.assert_close(engine.hidden(ids, offsets)[0], small(ids, offsets)[0], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["model", "engine"])
def test_cutting_texts_anywhere_changes_nothing(model: RWKV7, name: str) -> None:
    forward = forwards(model)[name]
    source = random.Random(0)
    for _ in range(3):
        texts = [[source.randrange(1, 500) for _ in range(source.randrange(40))] for _ in range(4)]
        whole, after = forward(*pack(texts), None)
        cuts = [sorted(source.randrange(len(text) + 1) for _ in range(3)) for text in texts]
        pieces: list[list[Tensor]] = [[] for _ in texts]
        state: State | None = None
        for part in range(4):
            spans = [slice(*([0, *cut, len(text)][part : part + 2])) for text, cut in zip(texts, cuts, strict=True)]
            ids, offsets = pack([text[span] for text, span in zip(texts, spans, strict=True)])
            hidden, state = forward(ids, offsets, state)
            for piece, found in zip(pieces, hidden.tensor_split(offsets[1:-1]), strict=True):
                piece.append(found)
        joined = torch.cat([torch.cat(piece) for piece in pieces])
        torch.testing.assert_close(joined, whole, atol=2e-5, rtol=0)
        assert state is not None
        torch.testing.assert_close(state.wkv, after.wkv, atol=5e-5, rtol=0)


@pytest.mark.parametrize("size", [Size(500, 128, 3), NARROW, DEEP])
def test_in_sixteen_bits_features_do_not_depend_on_the_batch_by_a_single_bit(kind: Kind, size: Size) -> None:
    engine = Engine(random_model(size), TYPES[kind])
    ids, offsets = random_batch(500, [70, 300, 9, 501, 333])  # so that tokens that go together end within a text
    together, _ = engine.hidden(ids, offsets)
    for text, expected in zip(ids.tensor_split(offsets[1:-1]), together.tensor_split(offsets[1:-1]), strict=True):
        assert torch.equal(engine.hidden(text, torch.tensor([0, len(text)]))[0], expected)


@pytest.mark.parametrize("name", ["model", "engine"])
def test_the_state_given_is_not_changed(model: RWKV7, name: str) -> None:
    ids, offsets = random_batch(500, [5, 7])
    state = State.zeros(model.size, 2)
    forwards(model)[name](ids, offsets, state)
    assert all(not field.any() for field in state.tensors)


@pytest.mark.parametrize("offsets", [[0, 4], [1, 5], [0, 3, 2, 5]])
@pytest.mark.parametrize("name", ["model", "engine"])
def test_offsets_that_do_not_fit_are_refused(model: RWKV7, name: str, offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        forwards(model)[name](torch.ones(5, dtype=torch.int64), torch.tensor(offsets), None)
