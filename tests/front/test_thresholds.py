"""Each tag a value, each rating a threshold; silence is never mild."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from capitoline.modalities.schema import Decoded, Failure, Frame, Item, Modality, Outcome
from capitoline.modalities.tagging.tag_tables import Table, Tables, load_tables
from capitoline.modalities.tagging.tagger import Picture
from capitoline.modalities.tagging.threshold_fit import fit_table
from capitoline.modalities.thresholds import TagThresholds

SHIPPED = Path(__file__).parents[2] / "configs" / "tags.yaml"

TABLES = Tables(
    labels=("mild", "grave", "dire"),
    given=Table(thresholds=(1.0, 2.0), values={"Knife": 1.0, "flower": -0.5, "corpse": 3.0}),
    tagger=Table(thresholds=(0.4, 0.9), values={"brightness": 1.0}),
)


class Brightness:
    """A tagger whose score is the mean of the pixels, 0 … 1, with another tag that no table knows."""

    names = ("brightness", "unlisted")
    digest = "brightness"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        self.batches.append(len(pictures))
        scores = [[picture.mean() / 255, 1.0] for picture in pictures]
        return np.array(scores, np.float32).reshape(-1, 2)


def frame(level: float, seconds: float = 0.0) -> Frame:
    return Frame(np.full((8, 8, 3), round(level * 255), np.uint8), seconds)


def decoded(*tags: str, pictures: Sequence[Frame] = (), film: Sequence[Frame] = ()) -> Decoded:
    return Decoded(Item("id"), "digest", tags=tags or None, pictures=tuple(pictures), film=tuple(film))


@pytest.mark.parametrize(
    ("tags", "severity"),
    [
        (["knife"], 1),
        (["  KNIFE "], 1),
        (["knife", "knife"], 1),
        (["corpse"], 2),
        (["flower"], 0),
        (["knife", "flower"], 0),
    ],
)
def test_severity_is_the_number_of_thresholds_reached(tags: list[str], severity: int) -> None:
    (evidence,) = TagThresholds(TABLES)([decoded(*tags)])
    assert (evidence.outcome, evidence.severity) == (Outcome.RATED, severity)


@pytest.mark.parametrize(
    ("tags", "severity", "reason"),
    [
        (["unheard of"], None, "no tag of the table"),
        (["flower", "unheard of"], None, "no alarm, but not all of its tags are in the table"),
        (["corpse", "unheard of"], 2, ""),
    ],
)
def test_an_unknown_tag_may_not_reassure_and_does_not_hide_an_alarm(
    tags: list[str], severity: int | None, reason: str
) -> None:
    (evidence,) = TagThresholds(TABLES)([decoded(*tags)])
    assert (evidence.severity, evidence.reason) == (severity, reason)


@pytest.mark.parametrize(
    ("tags", "label"),
    [(("nobody knows this",), None), (("nobody knows this", "comedy"), None), (("hentai", "?"), "XXX")],
)
def test_the_shipped_table_says_nothing_mild_of_tags_it_does_not_know(tags: tuple[str, ...], label: str | None) -> None:
    tables = load_tables(SHIPPED)
    (evidence,) = TagThresholds(tables)([decoded(*tags)])
    assert evidence.severity == (tables.labels.index(label) if label else None)
    assert evidence.outcome is (Outcome.RATED if label else Outcome.ABSTAINED)


def test_a_quiet_tagger_is_not_a_mild_ballot() -> None:
    (evidence,) = TagThresholds(TABLES, [Brightness()])([decoded(pictures=[frame(0.2)])])
    assert (evidence.outcome, evidence.severity) == (Outcome.ABSTAINED, None)
    (tag,) = evidence.tags
    assert tag.name == "brightness"
    assert tag.score == pytest.approx(0.2)


@pytest.mark.parametrize(("tags", "level"), list(product([("flower",), ("knife",), ("corpse",)], [0.0, 0.5, 1.0])))
def test_the_more_severe_table_speaks(tags: tuple[str, ...], level: float) -> None:
    given = {"flower": 0, "knife": 1, "corpse": 2}[tags[0]]
    seen = {0.0: 0, 0.5: 1, 1.0: 2}[level]
    (evidence,) = TagThresholds(TABLES, [Brightness()])([decoded(*tags, pictures=[frame(level)])])
    assert evidence.severity == max(given, seen)


def test_one_frame_among_many_is_enough_and_its_time_is_told() -> None:
    film = [frame(0.1, second) for second in range(9)] + [frame(0.95, 9)]
    (evidence,) = TagThresholds(TABLES, [Brightness()])([decoded(film=film)])
    assert evidence.severity == 2
    assert [(span.start, span.text) for span in evidence.spans] == [(9, "brightness")]


def test_all_pictures_of_a_batch_go_to_the_tagger_at_once() -> None:
    tagger = Brightness()
    items = [decoded(pictures=[frame(0.5)]), decoded("knife"), decoded(film=[frame(1.0), frame(0.0)]), decoded()]
    evidence = TagThresholds(TABLES, [tagger])(items)
    assert [one.severity for one in evidence] == [1, 1, 2, None]
    assert evidence[3].outcome is Outcome.ABSENT
    assert tagger.batches == [3]


def test_a_picture_that_could_not_be_read_is_a_failure() -> None:
    item = Decoded(Item("id"), "digest", failures={Modality.IMAGE: Failure(Outcome.ERROR, "truncated")})
    (evidence,) = TagThresholds(TABLES, [Brightness()])([item])
    assert (evidence.outcome, evidence.reason) == (Outcome.ERROR, "truncated")


def test_the_shipped_tables_load_and_name_the_scale() -> None:
    tables = load_tables(SHIPPED)
    assert tables.labels == ("PG", "PG13", "R", "X", "XXX")


@pytest.mark.parametrize(
    ("tags", "label"),
    [
        (("family", "animation"), "PG"),
        (("drama",), "PG13"),
        (("horror", "thriller"), "R"),
        (("nudity",), "R"),
        (("explicit",), "X"),
        (("explicit", "animation"), "X"),
        (("hentai", "animation", "family"), "XXX"),
    ],
)
def test_the_shipped_table_rates_common_tags_as_people_do(tags: tuple[str, ...], label: str) -> None:
    tables = load_tables(SHIPPED)
    (evidence,) = TagThresholds(tables)([decoded(*tags)])
    assert evidence.severity == tables.labels.index(label)


@pytest.mark.parametrize("tag", ["lgbtq", "black stories", "girls love", "faith & spirituality"])
def test_who_people_are_is_worth_nothing(tag: str) -> None:
    assert load_tables(SHIPPED).given.values[tag] == 0


TABLE = "{thresholds: [1, 2], values: {}}"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("labels: [a, b, c]", "given"),
        (f"{{labels: [a, b, c], given: {{thresholds: [1, 2], valeus: {{}}}}, tagger: {TABLE}}}", "valeus"),
        (f"{{labels: [a, b, c], given: {{thresholds: [2, 1], values: {{}}}}, tagger: {TABLE}}}", "ascend"),
        (f"{{labels: [a, b, c], given: {{thresholds: [1], values: {{}}}}, tagger: {TABLE}}}", "need 2"),
        ("labels: [", "cannot read"),
    ],
)
def test_a_faulty_table_is_refused_with_the_place_of_the_fault(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "tags.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=complaint):
        load_tables(file)


def test_a_fit_finds_the_values_that_the_ratings_were_made_with() -> None:
    random = np.random.default_rng(0)
    values, thresholds = {"a": 2.0, "b": -1.0, "c": 0.0}, np.array([0.0, 1.5])
    rows = []
    for _ in range(3_000):
        tags = [tag for tag in values if random.random() < 0.5]
        score = sum(values[tag] for tag in tags) + random.logistic()
        rows.append((tags, int((score >= thresholds).sum())))
    table = fit_table(rows, ["mild", "grave", "dire"])
    assert table.thresholds == pytest.approx(thresholds, abs=0.2)
    assert table.values == pytest.approx(values, abs=0.2)


def test_a_fit_refuses_a_label_without_examples() -> None:
    with pytest.raises(ValueError, match="no row is rated dire"):
        fit_table([(["a"], 0), (["a"], 1)], ["mild", "grave", "dire"])


def test_tags_vote_though_the_picture_is_broken() -> None:
    broken = {Modality.IMAGE: Failure(Outcome.ERROR, "truncated")}
    items = [
        Decoded(Item("id"), "digest", tags=("corpse",), failures=broken),
        Decoded(Item("id"), "digest", failures=broken),
    ]
    evidence = TagThresholds(TABLES, [Brightness()])(items)
    assert [(one.outcome, one.severity) for one in evidence] == [(Outcome.RATED, 2), (Outcome.ERROR, None)]
