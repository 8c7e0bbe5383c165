"""One line of configuration puts a fitted decider in service, and only with the weights it was fitted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from capitoline.configs.settings import FusionSettings, ImageExpert, Settings, VideoExpert
from capitoline.fusion import stacking
from capitoline.fusion.files import write_decider
from capitoline.fusion.options import Options
from capitoline.modalities.feature_set import FeatureSet
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.assembly import build_decider, decider_digests
from tests.deciding.arrays import decoded, evidence_of
from tests.deciding.conftest import SETTINGS


@pytest.fixture
def served(films: FeatureSet, tmp_path: Path) -> Settings:
    path = tmp_path / "fusion.safetensors"
    write_decider(path, stacking.fit(films, Options()), {})
    return SETTINGS.model_copy(update={"decider": FusionSettings(weights=str(path))})


def test_rate_decides_with_the_file_that_the_configuration_names(films: FeatureSet, served: Settings) -> None:
    decide = build_decider(served)
    decisions = stacking.fit(films, Options()).decide(films)
    for row in range(0, len(films), 10):
        verdict = decide(decoded(films, row), evidence_of(films, row))
        assert (verdict.rule, verdict.severity) == ("fusion:stacking", decisions.severities[row])
    assert decide(decoded(films, 0), []).rating == UNRATED


def test_results_depend_on_the_digest_of_the_file(served: Settings) -> None:
    assert [len(one) for one in decider_digests(served).values()] == [64]
    assert decider_digests(SETTINGS) == {}


def test_an_expert_that_was_not_fitted_is_refused_before_anything_is_rated(served: Settings) -> None:
    more = served.model_copy(update={"experts": (*served.experts, VideoExpert())})
    with pytest.raises(ValueError, match="it would ignore video"):
        build_decider(more)


def test_other_weights_under_the_same_name_are_refused(served: Settings) -> None:
    first = ImageExpert(name=served.experts[0].name)
    others = served.model_copy(update={"experts": (first, *served.experts[1:])})
    with pytest.raises(ValueError, match="fitted on other weights of tags"):
        build_decider(others)


def test_another_scale_is_refused(served: Settings) -> None:
    other = served.model_copy(update={"scale": ("G", "PG", "PG-13", "R", "NC-17")})
    with pytest.raises(ValueError, match="make features on this scale"):
        build_decider(other)
