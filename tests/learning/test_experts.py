from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capitoline.modalities.image import load_image
from capitoline.modalities.networks.trunk import load_text_rater
from capitoline.modalities.schema import Decoded, Evidence, Expert, Failure, Frame, Item, Modality, Outcome
from capitoline.modalities.tags import Tags, tag_names
from capitoline.modalities.text import Text
from capitoline.modalities.video import RESERVATION, load_video


def _decoded(name: str, **parts: Any) -> Decoded:
    return Decoded(Item(name), digest=name, **parts)


def _frame(shade: int, seconds: float = 0.0) -> Frame:
    pixels = np.full((60, 80, 3), shade, np.uint8)
    pixels[20:40, 20:60] = (200, 40, 255 - shade)
    return Frame(pixels, seconds)


def _text(item: str, number: int) -> Decoded:
    return _decoded(item, text=f"a film about a family and a dog, part {number}")


def _tags(item: str, number: int) -> Decoded:
    return _decoded(item, tags=("Comedy", f"part {number}"))


def _image(item: str, number: int) -> Decoded:
    return _decoded(item, pictures=(_frame(40 * number),))


def _video(item: str, number: int) -> Decoded:
    return _decoded(item, film=tuple(_frame(30 * number + shade, float(shade)) for shade in range(1 + 3 * number)))


BUILDERS: Mapping[str, Callable[[], Expert]] = {
    "text": lambda: Text(load_text_rater("text")),
    "tags": lambda: Tags(load_text_rater("text")),
    "image": lambda: load_image("image"),
    "video": lambda: load_video("video"),
}
SAMPLES = {"text": _text, "tags": _tags, "image": _image, "video": _video}


@pytest.fixture(scope="module", params=BUILDERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def expert(kind: str) -> Expert:
    return BUILDERS[kind]()


def test_ratings_come_one_an_item_in_order_and_do_not_depend_on_the_batch(kind: str, expert: Expert) -> None:
    items = [SAMPLES[kind](f"item {number}", number) for number in range(4)]
    together = expert(items)
    assert expert(list(reversed(items)))[0].probabilities == pytest.approx(together[3].probabilities, abs=1e-5)
    for item, evidence in zip(items, together, strict=True):
        alone = expert([item])[0]
        assert alone.severity == evidence.severity
        assert alone.probabilities == pytest.approx(evidence.probabilities, abs=1e-5)


def test_a_rating_has_a_distribution_and_features_of_a_fixed_width(kind: str, expert: Expert) -> None:
    for evidence in expert([SAMPLES[kind]("a", 1), SAMPLES[kind]("b", 2)]):
        assert evidence.outcome is Outcome.RATED
        assert sum(evidence.probabilities) == pytest.approx(1.0, abs=1e-5)
        assert evidence.features is not None
        assert evidence.features.shape == (64,)
        assert evidence.features.dtype == np.float32


def test_an_item_without_the_part_is_absent_and_its_neighbours_are_rated(kind: str, expert: Expert) -> None:
    before, absent, after = expert([SAMPLES[kind]("a", 1), _decoded("bare"), SAMPLES[kind]("b", 2)])
    assert (before.outcome, absent.outcome, after.outcome) == (Outcome.RATED, Outcome.ABSENT, Outcome.RATED)
    assert absent.severity is None


def test_a_part_that_failed_to_decode_is_never_rated_whatever_was_salvaged(kind: str, expert: Expert) -> None:
    whole = SAMPLES[kind]("a", 1)
    failures = {Modality(kind): Failure(Outcome.ERROR, "truncated after 3 frames")}
    broken = Decoded(whole.item, whole.digest, whole.text, whole.tags, whole.pictures, whole.film, failures=failures)
    evidence = expert([broken])[0]
    assert (evidence.outcome, evidence.severity) == (Outcome.ERROR, None)
    assert evidence.reason == "truncated after 3 frames"


def test_no_items_give_no_evidence(expert: Expert) -> None:
    assert expert([]) == []


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("", Outcome.ABSTAINED, "empty"),
        (" \n\t", Outcome.ABSTAINED, "empty"),
        ("გამარჯობა მსოფლიო, დღეს კარგი ამინდია", Outcome.UNSUPPORTED, "another language"),
    ],
)
def test_a_text_that_says_nothing_to_us_is_no_ballot(text: str, outcome: Outcome, reason: str) -> None:
    evidence = Text(load_text_rater("text"))([_decoded("a", text=text), _text("b", 1)])
    assert evidence[0].outcome is outcome
    assert reason in evidence[0].reason
    assert evidence[1].outcome is Outcome.RATED


def test_the_order_case_and_spacing_of_tags_mean_nothing() -> None:
    tags = Tags(load_text_rater("text"))
    one, other = tags(
        [_decoded("a", tags=("Horror", "slasher film")), _decoded("b", tags=(" slasher  Film", "horror"))]
    )
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert tag_names(["B", "a", "b ", ""]) == ["a", "b"]


def test_tags_are_read_together_with_the_text_beside_them() -> None:
    rater, plot = load_text_rater("text"), "A detective hunts a killer who tortures his victims."
    item = _decoded("a", text=plot, tags=("thriller", "crime"))
    together, alone = Tags(rater, with_text=True)([item])[0], Tags(rater)([item])[0]
    assert together.probabilities == pytest.approx(
        rater([f"{plot} tags: crime, thriller"], "both").probabilities[0], abs=1e-6
    )
    assert alone.probabilities == pytest.approx(rater(["tags: crime, thriller"], "tags").probabilities[0], abs=1e-6)


def test_a_text_in_foreign_letters_does_not_speak_through_the_tags() -> None:
    item = _decoded("a", text="გამარჯობა მსოფლიო, დღეს კარგი ამინდია", tags=("crime",))
    rater = load_text_rater("text")
    assert Tags(rater, with_text=True)([item])[0].probabilities == Tags(rater)([item])[0].probabilities


def test_a_kind_of_harm_is_named_and_does_not_touch_the_rating(data: Path) -> None:
    rater = load_text_rater("text")
    with gzip.open(data / "edos_sexism.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][:400]
    items = [_decoded(row["id"], text=row["text"]) for row in rows if row["label"] == "sexist"]
    naming, silent = Text(rater, harms=("sexist",))(items), Text(rater)(items)
    assert np.mean(["sexist" in [tag.name for tag in one.tags] for one in naming]) > 0.5
    assert [one.probabilities for one in naming] == [one.probabilities for one in silent]


def test_a_kind_of_harm_that_the_weights_do_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no head sexsim; there are .*sexist"):
        Text(load_text_rater("text"), harms=("sexsim",))


def test_empty_tags_are_abstained_from() -> None:
    assert Tags(load_text_rater("text"))([_decoded("a", tags=(" ", ""))])[0].outcome is Outcome.ABSTAINED


def test_the_most_severe_frame_speaks_for_an_animation_and_every_frame_is_shown() -> None:
    frames = tuple(_frame(shade, shade / 10) for shade in (0, 90, 200))
    expert = load_image("image")
    together = expert([_decoded("a", pictures=frames)])[0]
    alone = expert([_decoded(str(frame.seconds), pictures=(frame,)) for frame in frames])
    severity = [np.dot(one.probabilities, range(5)) for one in alone]
    assert together.probabilities == pytest.approx(alone[int(np.argmax(severity))].probabilities, abs=1e-5)
    assert [span.start for span in together.spans] == [0.0, 9.0, 20.0]
    assert all(not one.spans for one in alone)


def test_a_picture_of_a_few_pixels_is_rated_with_a_reservation() -> None:
    speck, plain = Frame(np.zeros((1, 1, 3), np.uint8), 0.0), _frame(40)
    reasons = [
        one.reason for one in load_image("image")([_decoded("a", pictures=(speck,)), _decoded("b", pictures=(plain,))])
    ]
    assert reasons == ["1 × 1 pixels are too few to show much", ""]


def test_a_film_says_what_was_not_looked_for_and_where_the_highest_scores_are() -> None:
    evidence: Evidence = load_video("video")([_video("a", 3)])[0]
    assert evidence.reason == RESERVATION
    assert len(evidence.spans) == 3
    assert [span.start for span in evidence.spans] == sorted(span.start for span in evidence.spans)
    assert evidence.tags[0].name == "nsfw"


def test_weights_and_encoder_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from capitoline.modalities.weights import find_weights, read_metadata, write_weights

    metadata = read_metadata(find_weights("image")) | {"encoder_sha256": "0" * 64}
    write_weights(tmp_path / "other.safetensors", load_file(find_weights("image")), metadata)
    with pytest.raises(ValueError, match="were trained on the encoder"):
        load_image(str(tmp_path / "other.safetensors"))
