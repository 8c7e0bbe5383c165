"""Properties of the voter's rules, by enumeration over all ballots of small scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product

import pytest

from capitoline.configs.settings import Settings, VoterSettings
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, Item, Modality, Outcome, RatingScale
from capitoline.pipelines.assembly import build_decider, build_shadow
from capitoline.voter.rules import RULES, Rule, majority, most_severe, rule, upper_median, weighted
from capitoline.voter.voter import Voter

SCALES = [
    RatingScale(("PG", "PG13", "R", "X", "XXX")),
    RatingScale(("G", "PG", "PG-13", "R", "NC-17")),  # "NC-17" < "PG" as strings
    RatingScale(("safe", "controversial", "unsafe")),  # "controversial" < "safe" as strings
]


def casts(labels: int, experts: int) -> Iterator[dict[str, int]]:
    for size in range(1, experts + 1):
        for cast in product(range(labels), repeat=size):
            yield {f"expert{index}": severity for index, severity in enumerate(cast)}


def decoded() -> Decoded:
    return Decoded(item=Item(id="item"), digest="00")


def ballot(expert: str, severity: int | None, outcome: Outcome = Outcome.ABSENT) -> Evidence:
    if severity is None:
        return Evidence(expert, Modality.TEXT, outcome, reason="because")
    return Evidence(expert, Modality.TEXT, Outcome.RATED, severity=severity)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_elects_a_severity_that_somebody_voted_for(name: str) -> None:
    for cast in casts(4, 4):
        assert RULES[name](cast).severity in cast.values()


@pytest.mark.parametrize("name", RULES)
def test_no_rule_depends_on_the_order_or_the_names_of_the_experts(name: str) -> None:
    for cast in casts(3, 4):
        renamed = {f"z{-index}": severity for index, severity in enumerate(reversed(cast.values()))}
        assert RULES[name](renamed) == RULES[name](cast)


@pytest.mark.parametrize("name", RULES)
def test_a_unanimous_cast_is_followed_without_a_draw(name: str) -> None:
    for severity, experts in product(range(4), range(1, 5)):
        outcome = RULES[name]({str(index): severity for index in range(experts)})
        assert (outcome.severity, outcome.tied) == (severity, ())


def test_majority_elects_a_most_voted_severity_and_a_draw_goes_to_the_more_restrictive() -> None:
    for cast in casts(4, 5):
        counts = Counter(cast.values())
        winners = sorted(one for one, count in counts.items() if count == max(counts.values()))
        outcome = majority(cast)
        assert outcome.severity == winners[-1]
        assert outcome.tied == (tuple(winners) if len(winners) > 1 else ())


def test_equal_weights_are_the_majority() -> None:
    for cast in casts(4, 4):
        assert weighted(cast, {}) == majority(cast)
        assert weighted(cast, dict.fromkeys(cast, 0.5)) == majority(cast)


def test_a_weighted_draw_goes_to_the_more_restrictive() -> None:
    assert weighted({"a": 0, "b": 0, "c": 2}, {"c": 2.0}).severity == 2


def test_an_expert_of_weight_zero_is_outvoted_by_any_other() -> None:
    assert weighted({"a": 3, "b": 1}, {"a": 0.0}).severity == 1


@pytest.mark.parametrize("monotone", [upper_median, most_severe])
def test_more_alarm_never_gives_a_milder_verdict(monotone: Rule) -> None:
    for cast in casts(4, 4):
        for expert in cast:
            if cast[expert] < 3:
                louder = {**cast, expert: cast[expert] + 1}
                assert monotone(louder).severity >= monotone(cast).severity


def test_majority_is_not_monotone_and_this_is_the_known_flaw() -> None:
    """Plurality with any tie-break has it; `upper_median` is the rule for those who cannot live with it."""
    assert majority({"a": 0, "b": 1, "c": 2}).severity == 2
    assert majority({"a": 1, "b": 1, "c": 2}).severity == 1


def test_upper_median_is_at_least_the_median_of_the_ballots() -> None:
    for cast in casts(4, 4):
        severity = upper_median(cast).severity
        assert sum(one >= severity for one in cast.values()) * 2 >= len(cast)
        assert sum(one > severity for one in cast.values()) * 2 < len(cast)


@pytest.mark.parametrize(
    ("name", "weights", "says"),
    [
        ("plurality", {}, "no voter's rule"),
        ("majority", {"text": 2.0}, "ignores weights"),
        ("weighted", {"text": -1.0}, "not negative"),
        ("weighted", {"text": float("inf")}, "finite"),
    ],
)
def test_a_wrong_rule_says_what_to_do(name: str, weights: Mapping[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rule(name, weights)


def test_a_weight_for_an_expert_that_is_not_there_is_refused_with_those_that_are() -> None:
    misspelt = VoterSettings(rule="weighted", weights={"text": 2.0, "tag": 0.5})
    for build, settings in ((build_decider, Settings(decider=misspelt)), (build_shadow, Settings(shadow=misspelt))):
        with pytest.raises(ValueError, match="weights name tag; the experts are text, tags, thresholds"):
            build(settings)


@pytest.mark.parametrize("scale", SCALES)
def test_a_verdict_carries_the_label_at_the_severity_whatever_its_name(scale: RatingScale) -> None:
    voter = Voter(scale, majority, "majority")
    for first, second in product(range(len(scale)), repeat=2):
        verdict = voter(decoded(), [ballot("a", first), ballot("b", second)])
        assert verdict.rating == scale.labels[max(first, second)]
        assert verdict.severity == max(first, second)
        assert set(verdict.tied) == ({scale.labels[first], scale.labels[second]} if first != second else set())


def test_absent_experts_are_silent_so_no_text_cannot_outvote_an_x_image() -> None:
    voter = Voter(SCALES[0], majority, "majority")
    verdict = voter(decoded(), [ballot("image", 3), ballot("text", None), ballot("tags", None), ballot("ocr", None)])
    assert verdict.rating == "X"


@pytest.mark.parametrize("outcome", [Outcome.ABSENT, Outcome.ABSTAINED, Outcome.ERROR, Outcome.UNSUPPORTED])
def test_no_ballot_is_unrated_never_the_mildest(outcome: Outcome) -> None:
    for name in RULES:
        verdict = Voter(SCALES[0], RULES[name], name)(decoded(), [ballot("text", None, outcome)])
        assert (verdict.rating, verdict.severity) == (UNRATED, None)


def test_a_scale_refuses_what_would_make_order_ambiguous() -> None:
    for labels in [("PG",), ("PG", "PG"), ("PG", UNRATED), ("", "X")]:
        with pytest.raises(ValueError, match=r"label|string"):
            RatingScale(labels)
    with pytest.raises(ValueError, match="not on the scale"):
        SCALES[0].severity("NC-17")
    with pytest.raises(ValueError, match="outside"):
        SCALES[0].label(-1)
