"""One score of a film: a rule over a share of its frames does not alarm more often because the film is longer."""

from __future__ import annotations

import numpy as np
import pytest

from capitoline.configs.settings import ThresholdsExpert
from capitoline.modalities.schema import Tag
from capitoline.modalities.tagging.aggregation import AGGREGATIONS
from capitoline.modalities.tagging.tag_tables import load_tables
from capitoline.modalities.tagging.threshold_fit import fit_thresholds
from capitoline.pipelines.experts import table_path

RULES = sorted(AGGREGATIONS)
OVER_A_SHARE = ("share", "top")
TABLES = load_tables(table_path("tags.yaml"))


def alarms(rule: str, films: np.ndarray) -> float:
    """Share of the (films, F) scores that the rule takes for more than PG."""
    table = TABLES.of_films(rule)
    scores = [AGGREGATIONS[rule](film[:, None].astype(np.float32))[0] for film in films]
    return float(np.mean([table.severity((Tag("nsfw", float(score)),)) > 0 for score in scores]))


@pytest.mark.parametrize("rule", RULES)
def test_a_higher_score_of_any_frame_never_lowers_the_films(rule: str) -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        film = draw.random((16, 2)).astype(np.float32)
        raised = film.copy()
        raised[draw.integers(16)] = 1.0
        assert (AGGREGATIONS[rule](raised) >= AGGREGATIONS[rule](film)).all()


@pytest.mark.parametrize("rule", OVER_A_SHARE)
def test_a_loop_scores_as_once_through(rule: str) -> None:
    film = np.random.default_rng(1).random((16, 3)).astype(np.float32)
    np.testing.assert_allclose(AGGREGATIONS[rule](np.tile(film, (50, 1))), AGGREGATIONS[rule](film), rtol=1e-5)


def test_false_alarms_rise_with_length_only_where_one_frame_is_enough() -> None:
    """One frame in fifty is taken for explicit by mistake."""
    draw = np.random.default_rng(2)
    mistaken = {frames: (draw.random((200, frames)) < 0.02) * 0.95 for frames in (16, 160, 1_600)}
    rates = {rule: [alarms(rule, films) for films in mistaken.values()] for rule in RULES}
    assert rates["any"][0] < 0.4 < 0.9 < rates["any"][1] <= rates["any"][2] == 1.0
    assert max(rates["share"]) == 0
    assert max(rates["top"]) <= 0.1


def test_the_default_rule_sees_a_scene_of_a_quarter_of_the_film() -> None:
    film = np.full((1, 16), 0.02)
    film[0, 5:9] = 0.95
    assert alarms(ThresholdsExpert().aggregation, film) == 1.0


def test_a_rule_without_thresholds_is_refused() -> None:
    with pytest.raises(ValueError, match="no thresholds for films under the rule 'share'"):
        TABLES.model_copy(update={"films": {}}).of_films("share")


def test_thresholds_stand_between_the_scores_that_they_part() -> None:
    scores = [0.1, 0.2, 0.15, 0.5, 0.55, 0.6, 0.9, 0.95, 0.85] * 20
    low, high = fit_thresholds(scores, [0, 0, 0, 1, 1, 1, 2, 2, 2] * 20, 3)
    assert 0.2 < low < 0.5 < 0.6 < high < 0.85
    with pytest.raises(ValueError, match="falls"):
        fit_thresholds(scores, [2, 2, 2, 1, 1, 1, 0, 0, 0] * 20, 3)
