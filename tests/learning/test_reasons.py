from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from capitoline.modalities.language.vocabulary import BEGIN
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.sequence import RatingNetwork, Shape, pack, pool
from capitoline.pipelines.training.reasons import ReasonHead, append, reason_loss

TEXTS = [np.array([BEGIN, 5, 9, 11]), np.array([BEGIN, 7]), np.array([BEGIN, 3, 3])]
REASONS = [np.array([20, 21]), None, np.array([22])]


def _network() -> RatingNetwork:
    torch.manual_seed(0)
    return RatingNetwork(Shape(64, 1, 8, vocabulary=30), {"text": HeadShape(("PG", "R"))}).eval()


def test_a_reason_after_a_text_changes_nothing_that_the_heads_see() -> None:
    network, said = _network(), append(TEXTS, REASONS, [1.0, 0.0, 0.5])
    inputs, offsets = pack(said.sequences)
    with torch.no_grad():
        beside = pool(network.hidden(inputs, offsets)[said.texts], said.text_offsets)
        alone = network(*pack(TEXTS))
    torch.testing.assert_close(beside, alone)


def test_the_loss_is_that_of_each_token_given_all_before_it() -> None:
    network, head = _network(), ReasonHead(64, 30)
    said = append(TEXTS, REASONS, [1.0, 0.0, 0.5])
    with torch.no_grad():
        ours = reason_loss(head, network.hidden(*pack(said.sequences)), said)
        expected = torch.zeros(())
        for text, reason, weight in ((TEXTS[0], [20, 21], 1.0), (TEXTS[2], [22], 0.5)):
            read, losses = [*text, BEGIN], []
            for token in (*reason, BEGIN):
                hidden = network.hidden(*pack([np.array(read)]))
                losses.append(F.cross_entropy(head(hidden[-1:]), torch.tensor([token])))
                read.append(token)
            expected = expected + weight * torch.stack(losses).mean()
    torch.testing.assert_close(ours, expected)


def test_without_any_reason_there_is_nothing_to_say() -> None:
    network, said = _network(), append(TEXTS, [None] * 3, [0.0] * 3)
    assert reason_loss(ReasonHead(64, 30), network.hidden(*pack(said.sequences)), said) == 0
