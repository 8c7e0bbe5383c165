"""Texts that nobody labelled, made of two: teachers answer them and a pupil learns the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.weights import read_metadata, sha256
from capitoline.pipelines.train import train
from capitoline.pipelines.training import teachers
from capitoline.pipelines.training.blends import blend, with_blends
from capitoline.pipelines.training.corpus import Rows, read_rows
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.folded import without_fold
from capitoline.pipelines.training.teachers import ask_teachers
from capitoline.pipelines.training.texts import TextInputs, example_text

SOURCE = "  - {file: rows.jsonl, head: both, columns: [text], tags: [tags], licence: CC0}\n"


def _taught(tiny: Path, folder: Path, blends: str = "{file: rows.jsonl, heads: [text, both], count: 2}") -> Path:
    path = folder / "pupil.yaml"
    lessons = f"lessons: {{teachers: [{{weights: {tiny / 'run' / 'tiny.safetensors'}}}], blends: [{blends}]}}\n"
    path.write_text((tiny / "tiny.yaml").read_text() + SOURCE + lessons)
    return path


def _rows(path: Path, data: Path) -> Rows:
    settings = load_configuration(path, Training)
    return with_blends(read_rows(settings, data), settings)


def _example(rows: Rows, head: str, label: int) -> Example:
    return next(one for one in rows.train if one.source.head == head and one.severity == label)


def test_a_blend_is_two_halves_with_the_tags_of_one_and_no_label(tiny: Path, tmp_path: Path) -> None:
    rows = _rows(_taught(tiny, tmp_path), tiny)
    kitten, explicit = _example(rows, "both", 0), _example(rows, "both", 4)
    made = blend(kitten, explicit, tags_of_other=True, index=-1)
    assert example_text(made) == f"scene {kitten.id}: a scenes of sex tags: adult"
    assert example_text(blend(kitten, explicit, tags_of_other=False, index=-1)).endswith("tags: animals, family")
    assert (made.severities, made.id) == ((UNKNOWN,), f"{kitten.id}+{explicit.id}")


def test_blends_are_drawn_from_training_rows_alone_and_again_the_same(tiny: Path, tmp_path: Path) -> None:
    rows = _rows(_taught(tiny, tmp_path), tiny)
    trained = {one.id for one in rows.train}
    assert {part for one in rows.blends for part in one.id.split("+")} <= trained
    assert len(rows.blends) == 4 * len(trained)
    assert len({one.key for one in rows.taught}) == len(rows.taught)
    assert list(map(example_text, rows.blends)) == list(map(example_text, _rows(tmp_path / "pupil.yaml", tiny).blends))


def test_other_blends_leave_the_answers_about_labelled_texts_as_they_are(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_configuration(_taught(tiny, tmp_path), Training)
    rows = read_rows(settings, tiny)
    ask_teachers(settings, rows, tmp_path / "answers")
    opened = teachers._open
    asked: list[str] = []

    def listening(*teacher: Any) -> Callable[[Sequence[str]], dict[str, Tensor]]:
        ask = opened(*teacher)

        def answer(texts: Sequence[str]) -> dict[str, Tensor]:
            asked.extend(texts)
            return ask(texts)

        return answer

    monkeypatch.setattr(teachers, "_open", listening)
    blended = with_blends(rows, settings)
    answers = ask_teachers(settings, blended, tmp_path / "answers")
    labelled = set(map(example_text, rows.train))
    assert sorted(asked) == sorted(set(map(example_text, blended.blends)) - labelled)
    assert answers.places.keys() == {*asked, *labelled}


def test_words_of_blends_are_not_counted_again(tiny: Path, tmp_path: Path) -> None:
    settings = load_configuration(_taught(tiny, tmp_path), Training).model_copy(update={"rarest": 3})
    rows = read_rows(settings, tiny)
    plain, blended = (TextInputs(one.all, settings, tiny) for one in (rows, with_blends(rows, settings)))
    assert plain.vocabulary == blended.vocabulary


@pytest.mark.slow
def test_a_pupil_learns_from_blends(tiny: Path, tmp_path: Path) -> None:
    weights = train(_taught(tiny, tmp_path), tmp_path / "run", tiny)
    plain = train(_taught(tiny, tmp_path, ""), tmp_path / "plain", tiny)
    assert sha256(weights) != sha256(plain)
    assert "made of halves of two of `rows.jsonl`" in weights.with_suffix(".md").read_text()
    assert all(one["kappa"] > 0.9 for one in read_metadata(weights)["validation"].values())


def test_a_blend_that_no_teacher_is_asked_about_is_refused(tiny: Path, tmp_path: Path) -> None:
    path = _taught(tiny, tmp_path)
    path.write_text(path.read_text().replace(".safetensors}", ".safetensors, files: [other.jsonl]}"))
    with pytest.raises(ValueError, match=r"no teacher is asked about rows\.jsonl: add it to the `files:` of one"):
        load_configuration(path, Training)


def test_a_training_in_folds_reads_no_blends(tiny: Path, tmp_path: Path) -> None:
    """They are halves of rows that a fold leaves out, too."""
    assert without_fold(_rows(_taught(tiny, tmp_path), tiny), 0, 2).blends == []


@pytest.mark.parametrize(
    ("blends", "said"),
    [
        ("{file: rows.jsonl, heads: [hate]}", r"rows\.jsonl teaches the head hate; its texts are of both, text"),
        ("{file: other.jsonl, heads: [text]}", r"other\.jsonl teaches the head text; its texts are of none"),
        ("{file: rows.jsonl, heads: [tags]}", "'tags' reads no text"),
    ],
)
def test_what_cannot_be_blended_is_refused(blends: str, said: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        train(_taught(tiny, tmp_path, blends), tmp_path / "run", tiny)
