"""Networks of several epochs averaged, and costs chosen on rows held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from capitoline.modalities.networks.ordinal import decide
from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.evaluation.metrics import confusion, macro_f1
from capitoline.pipelines.train import train
from capitoline.pipelines.training.averaging import with_another
from capitoline.pipelines.training.prediction import COSTS, _best_cost


def test_one_by_one_is_the_mean_of_all() -> None:
    networks = [{"weight": torch.randn(3, 4), "count": torch.tensor(number)} for number in range(5)]
    mean: dict[str, torch.Tensor] = {}
    for count, network in enumerate(networks):
        mean = with_another(mean, count, network)
    torch.testing.assert_close(mean["weight"], torch.stack([one["weight"] for one in networks]).mean(0))
    assert mean["count"] == 4


def test_the_chosen_cost_is_the_best_of_all_on_the_rows_held_out() -> None:
    draw = np.random.default_rng(0)
    truth = draw.choice(3, 400, p=(0.8, 0.15, 0.05))
    probabilities = draw.dirichlet((6, 2, 1), 400).astype(np.float32)
    scores = {cost: macro_f1(confusion(truth, decide(probabilities, cost), 3)) for cost in COSTS}
    best = _best_cost(torch.from_numpy(probabilities), torch.from_numpy(truth))
    assert scores[best] == max(scores.values())


def test_a_training_that_averages_continues_and_says_which_cost_it_chose(tiny: Path) -> None:
    text = (tiny / "tiny.yaml").read_text().replace("epochs: 6", "epochs: 2\naverage: true")
    text += "heads: {text: {levels: [PG, R, XXX], decide_for: macro_f1}}\n"
    (tiny / "averaging.yaml").write_text(text)
    weights = train(tiny / "averaging.yaml", tiny / "averaging", tiny)
    assert read_metadata(weights)["heads"]["text"]["down_cost"] in COSTS
