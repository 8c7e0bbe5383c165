from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from capitoline.modalities.networks.heads import OrdinalHead, class_weights, fit_temperature
from capitoline.modalities.networks.losses import LINKS, log_probabilities, ordinal_loss
from capitoline.modalities.networks.ordinal import LINK_OF, Head, HeadShape, decide, probabilities_of

FIVE = HeadShape(("PG", "PG13", "R", "X", "XXX"))
HARMS = ("hate", "threat", "self-harm")


def test_any_logits_give_a_distribution_over_the_labels() -> None:
    for logits in product((-30.0, -1.0, 0.0, 2.0, 30.0), repeat=3):
        probabilities = log_probabilities(torch.tensor([logits])).exp()
        assert probabilities.shape == (1, 4)
        assert probabilities.sum().item() == pytest.approx(1.0, abs=1e-6)


def test_probabilities_are_the_products_of_the_conditional_decisions() -> None:
    logits = torch.tensor([[0.3, -1.2, 0.7]])
    above = torch.sigmoid(logits[0])
    expected = [1 - above[0], above[0] * (1 - above[1]), above[0] * above[1] * (1 - above[2]), above.prod()]
    torch.testing.assert_close(log_probabilities(logits).exp()[0], torch.stack(expected))


def test_without_torch_the_probabilities_are_the_same_for_any_logits() -> None:
    logits = np.array(list(product((-90.0, -1.0, 0.0, 2.0, 90.0), repeat=3)), np.float32)
    expected = log_probabilities(torch.from_numpy(logits)).exp().numpy()
    np.testing.assert_allclose(probabilities_of(logits), expected, atol=1e-6)


@pytest.mark.parametrize("loss", LINK_OF)
@pytest.mark.parametrize(("axes", "levels"), [(("",), 5), (HARMS, 2), (HARMS, 11)])
def test_without_torch_a_head_gives_the_same(loss: str, axes: tuple[str, ...], levels: int) -> None:
    shape = HeadShape(tuple(map(str, range(levels))), axes, loss)
    head = OrdinalHead(128, 16, shape).eval()
    pooled = 3 * torch.randn(7, 128) + 1
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    head.temperature.fill_(1.7)
    logits, features = head(pooled)
    assert logits.shape == (7, len(axes), levels - 1)
    tensors = {name: tensor.detach().numpy() for name, tensor in head.state_dict().items()}
    ours = Head(tensors, shape)(pooled.numpy())
    np.testing.assert_allclose(ours[0], LINKS[shape.link](logits).detach().exp().numpy(), atol=1e-5)
    np.testing.assert_allclose(ours[1], features.detach().numpy(), atol=1e-4)


def test_without_torch_a_head_with_a_linear_half_gives_the_same() -> None:
    shape = HeadShape(tuple("abcde"))
    head = OrdinalHead(128, 16, shape).eval()
    head.linear = torch.randn(4, 40)
    pooled = torch.randn(7, 128)
    expected = log_probabilities(head(pooled)[0]).detach().exp().numpy()
    tensors = {name: tensor.detach().numpy() for name, tensor in head.state_dict().items()}
    assert "linear" in tensors
    np.testing.assert_allclose(Head(tensors, shape)(pooled.numpy())[0], expected, atol=1e-5)


def test_the_loss_is_the_negative_log_likelihood_of_the_weighted_rows() -> None:
    logits, severities = torch.randn(5, 3), torch.tensor([0, 3, 1, 2, 3])
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0])
    chosen = log_probabilities(logits)[range(5), severities]
    torch.testing.assert_close(ordinal_loss(logits, severities, weights), -(chosen * weights).sum() / 5.0)


def test_a_higher_cost_of_mildness_never_gives_a_milder_decision() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), 200).astype(np.float32)
    previous = decide(probabilities, 0.5)
    for down_cost in (1.0, 1.5, 2.0, 4.0):
        severities = decide(probabilities, down_cost)
        assert (severities >= previous).all()
        previous = severities


def test_the_decision_is_that_of_least_expected_cost() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4), 200).astype(np.float32)
    distance = np.arange(4)[:, None] - np.arange(4)[None, :]  # truth - decision
    cost = np.where(distance > 0, 1.7 * distance, -distance)
    np.testing.assert_array_equal(decide(probabilities, 1.7), (probabilities @ cost).argmin(1))


def test_the_temperature_undoes_overconfidence_and_keeps_the_order() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4_000, 2, generator=generator)
    severities = torch.multinomial(log_probabilities(honest).exp(), 1, generator=generator).squeeze(1)
    assert fit_temperature(honest * 3.0, severities) == pytest.approx(3.0, rel=0.1)


def test_balance_makes_rare_labels_count_and_absent_ones_nothing() -> None:
    severities = np.array([0] * 90 + [1] * 10)
    assert class_weights(severities, 3, 0.0).tolist() == [1.0, 1.0, 0.0]
    even = class_weights(severities, 3, 1.0)
    assert even[0] * 90 == pytest.approx(even[1] * 10)
    assert even[severities].mean() == pytest.approx(1.0)


def test_a_head_divides_its_logits_by_its_temperature() -> None:
    head = OrdinalHead(8, 4, FIVE).eval()
    pooled = torch.randn(3, 8)
    before, features = head(pooled)
    head.temperature.fill_(2.0)
    after, same = head(pooled)
    torch.testing.assert_close(after * 2.0, before)
    assert torch.equal(features, same)
    assert features.shape == (3, 4)
