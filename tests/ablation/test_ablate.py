"""An ablation chooses on val, looks at test once, and says what it may say."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as drawing

from capitoline.configs.ablation import Ablation, LearningCurve, Selection, StrategyName
from capitoline.configs.settings import load_settings
from capitoline.configs.training import load_configuration
from capitoline.fusion.files import read_decider
from capitoline.fusion.options import Options
from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet
from capitoline.pipelines.ablate import Ablated, ablate, run_ablation, splits_of
from capitoline.pipelines.ablation.curves import risk_curve
from capitoline.pipelines.ablation.grid import Candidate, candidates
from capitoline.pipelines.ablation.outcomes import Outcome
from capitoline.pipelines.ablation.page import SECTIONS, page
from capitoline.pipelines.ablation.results import write_results
from capitoline.pipelines.ablation.robustness import CONFLICT, Condition, Fault, applied
from capitoline.pipelines.ablation.winner import write_winner
from capitoline.pipelines.ablation.words import verdict
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.features.store import FeatureStore

CHROMIUM = Path("/usr/bin/chromium")
QUICK: tuple[StrategyName, ...] = ("majority", "upper_median", "most_severe", "mean", "stacking")
SMALL = Ablation(
    features="", strategies=QUICK, report=(), draws=1_000, curve=LearningCurve(strategy="stacking", shares=(0.5, 1.0))
)
"""Without the strategies that take seconds to fit."""


@pytest.fixture(scope="module")
def ablated(features: FeatureSet) -> Ablated:
    return ablate(SMALL, features, Options())


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=drawing.integers(0, 2**32 - 1))
def test_another_truth_on_test_changes_no_choice(features: FeatureSet, ablated: Ablated, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(5)[features.truth]
    other = replace(features, truth=np.where(features.splits == "test", shuffled, features.truth))
    found = ablate(SMALL, other, Options()).findings
    assert found.chosen == ablated.findings.chosen
    assert found.ranked == ablated.findings.ranked
    assert [one.finalist.candidate for one in found.test.rows] == [
        one.finalist.candidate for one in ablated.findings.test.rows
    ]


def test_the_choice_is_the_best_that_is_no_more_too_mild_than_the_best_expert(ablated: Ablated) -> None:
    found = ablated.findings
    expert = next(one for one in found.ranked if one.candidate.is_expert and one.candidate.review == 0)
    fit = [one for one in found.ranked if one.candidate.review == 0 and one.down_rate <= expert.down_rate]
    assert found.chosen.kappa == max(one.kappa for one in fit)


def test_on_test_stand_the_choice_the_baseline_the_best_expert_and_the_voter_s_rules(ablated: Ablated) -> None:
    told = [one.finalist.role for one in ablated.findings.test.rows]
    assert told[0].startswith("chosen")
    for role, times in (("baseline", 1), ("best expert", 1), ("voter's rule", 3)):
        assert sum(role in one for one in told) == times


def test_the_default_grid_of_three_experts_has_500_combinations() -> None:
    chosen = Ablation(features="")
    found = candidates(chosen.strategies, ("image", "tags", "text"), chosen.down_costs, chosen.reviews)
    from_seeds = sum(len(chosen.seeds) if one.strategy == "mlp" else 1 for one in found)
    assert from_seeds >= 500
    assert len(set(found)) == len(found)


def test_every_combination_is_a_row_and_test_rows_are_the_finalists_alone(ablated: Ablated, tmp_path: Path) -> None:
    write_results(tmp_path, ablated.findings)
    rows = pq.read_table(tmp_path / "combinations.parquet").to_pylist()
    on_test = [row for row in rows if row["split"] == "test"]
    assert len(rows) - len(on_test) == len(ablated.findings.measured)
    assert len(on_test) == sum(len(one.finalist.outcomes) for one in ablated.findings.test.rows)
    assert ElementTree.parse(tmp_path / "ablation.svg").getroot().tag.endswith("svg")
    assert "## On test" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_an_item_that_nobody_rated_counts_as_withheld_and_never_as_mild(features: FeatureSet) -> None:
    silent = replace(features, experts=tuple(_silent(one) for one in features.experts))
    found = ablate(replace_strategies(SMALL, ("majority", "mean")), silent, Options()).findings
    assert all(one.unrated == 1.0 and one.figures.down_rate == 0.0 for one in found.measured)


def test_a_contradicted_row_is_as_severe_as_its_more_severe_half(features: FeatureSet) -> None:
    told = applied(Condition(Fault.CONTRADICTED, "text"), features, 0.3, 0)
    before = dict(zip(features.items.tolist(), features.truth.tolist(), strict=True))
    raised = [(before[item], now) for item, now in zip(told.items.tolist(), told.truth.tolist(), strict=True)]
    assert all(now == was or now >= was + CONFLICT for was, now in raised)


def test_the_deciders_in_service_decide_as_the_winner_did(features: FeatureSet, tmp_path: Path) -> None:
    FeatureStore(tmp_path / "features").write(features)
    chosen = SMALL.model_copy(
        update={"features": str(tmp_path / "features"), "selection": Selection(down_slack=None), "strategies": QUICK}
    )
    config = tmp_path / "ablation.yaml"
    config.write_text(yaml.safe_dump(chosen.model_dump(mode="json")), encoding="utf-8")
    found = run_ablation(config, tmp_path / "out", tmp_path)
    winner = load_settings(tmp_path / "out" / "winner.yaml")
    assert winner.decider.kind == "fusion", found.chosen.candidate
    saved = read_decider(Path(winner.decider.weights))
    test = splits_of(features)["test"].only(found.chosen.candidate.experts)
    assert saved.frame.names == found.chosen.candidate.experts
    severities = saved.decide(test).severities
    assert (np.where(severities < 0, 4, severities) == found.test.rows[0].finalist.served.severities).all()


def test_a_vote_that_wins_is_served_by_its_rule(features: FeatureSet, tmp_path: Path) -> None:
    found = ablate(replace_strategies(SMALL, ("majority", "upper_median")), features, Options())
    settings_of = load_settings(write_winner(tmp_path, found.findings, found.winner, found.margin, tmp_path))
    assert settings_of.decider.kind == "voter"
    assert build_decider(settings_of).name.startswith("voter:")


def test_a_choice_that_is_not_proved_better_is_said_not_to_be(features: FeatureSet) -> None:
    """Every expert the same: nothing can be better than the vote."""
    tags = next(one for one in features.experts if one.name == "tags")
    twins = replace(features, experts=tuple(replace(tags, name=one.name) for one in features.experts))
    found = ablate(replace_strategies(SMALL, ("majority", "mean")), twins, Options()).findings
    assert any("not significantly better" in one or "itself" in one for one in verdict(found))


def test_without_a_split_for_the_report_it_says_what_is_missing(features: FeatureSet) -> None:
    with pytest.raises(ValueError, match="no labelled rows of the split test"):
        ablate(SMALL, features.at(np.flatnonzero(features.splits != "test")), Options())


def test_reviewing_everything_leaves_no_mistake_and_nothing_all_of_them(ablated: Ablated) -> None:
    served = ablated.findings.test.rows[0].finalist.served
    curve = risk_curve(served)
    assert curve.reviewed[0] == 0.0
    assert curve.error[0] == pytest.approx(1 - served.figures().accuracy)
    assert naive_error(served, float(np.median(served.margins))) == pytest.approx(
        curve.error[np.searchsorted(curve.reviewed, np.mean(served.margins < np.median(served.margins)))]
    )


def test_the_page_is_whole_without_a_network_or_a_script(ablated: Ablated) -> None:
    hostile = replace(ablated.findings, title="<script>alert(1)</script>")
    html = page(hostile)
    found = Elements(html)
    assert "script" not in found.names
    assert "http" not in html.replace("http-equiv", "")
    assert all(f">{name}</h2>" in html for name in SECTIONS)
    for name in ("val: 225 items", "test: 225 items"):
        assert name in html


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here")
def test_a_browser_shows_the_page_in_light_and_dark(ablated: Ablated, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "ablation.html").write_text(page(ablated.findings), encoding="utf-8")
    shades = []
    for name, flags in (("light", ()), ("dark", ("--blink-settings=preferredColorScheme=0",))):
        picture = tmp_path / f"{name}.png"
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / name}",
                   "--window-size=1280,2400", *flags, f"--screenshot={picture}",
                   (tmp_path / "ablation.html").as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        shades.append(float(np.asarray(Image.open(picture).convert("L"))[:50].mean()))
        assert len(np.unique(np.asarray(Image.open(picture).convert("L")))) > 50
    assert shades[0] > 200
    assert shades[1] < 60


def test_the_posters_configuration_is_one(data: Path) -> None:
    found = load_configuration(Path(__file__).parents[2] / "configs" / "ablate" / "posters.yaml", Ablation)
    assert found.build is not None
    assert (data / found.build.file).exists()


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)


def replace_strategies(chosen: Ablation, names: tuple[StrategyName, ...]) -> Ablation:
    return chosen.model_copy(update={"strategies": names, "curve": None})


def naive_error(outcome: Outcome, margin: float) -> float:
    left = [
        decided != true
        for decided, true, own in zip(outcome.severities, outcome.truth, outcome.margins, strict=True)
        if own >= margin
    ]
    return float(np.mean(left))


def _silent(expert: ExpertFeatures) -> ExpertFeatures:
    return replace(
        expert,
        rated=np.zeros_like(expert.rated),
        severities=np.zeros_like(expert.severities),
        probabilities=np.zeros_like(expert.probabilities),
    )


def test_a_baseline_that_is_not_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="mlp named in baseline, report or curve is not among strategies"):
        Ablation(features="", strategies=QUICK)


def test_candidates_are_named_as_people_read_them() -> None:
    assert Candidate("mlp", ("image", "tags"), 1.5, 0.1).name == "mlp · image+tags · cost 1.5 · review 10%"
    assert Candidate("expert", ("tags",)).name == "tags alone"
