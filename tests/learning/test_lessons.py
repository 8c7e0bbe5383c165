from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from capitoline.configs.training import LessonSettings, Training, load_configuration
from capitoline.modalities.networks.losses import LINKS
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.sequence import RatingNetwork, Shape
from capitoline.modalities.networks.trunk import load_text_rater
from capitoline.pipelines.train import train
from capitoline.pipelines.training import teachers
from capitoline.pipelines.training.corpus import read_rows
from capitoline.pipelines.training.lessons import Answers, Lesson, Lessons, divergences
from capitoline.pipelines.training.teachers import ask_teachers

SHAPES = {"text": HeadShape(("PG", "R", "X")), "harm": HeadShape(("no", "yes"), ("rude", "cruel"), "cross_entropy")}
BATCH = [Lesson("a", {"text"}, 1.0), Lesson("b", {"harm"}, 2.0), Lesson("unknown", {"text"}, 1.0),
         Lesson("c", {"text", "harm"}, 0.5)]  # fmt: skip


def _settings(**changes: float) -> LessonSettings:
    return LessonSettings.model_validate({"teachers": [{"weights": "x"}], **changes})


def _answers() -> Answers:
    torch.manual_seed(1)
    said = {"text": torch.rand(3, 1, 3).softmax(-1), "harm": torch.rand(3, 2, 2).softmax(-1)}
    said["harm"][0] = 0.0  # nobody was asked
    return Answers({"a": 0, "b": 1, "c": 2}, said)


def _network() -> RatingNetwork:
    torch.manual_seed(0)
    return RatingNetwork(Shape(64, 1, 8, vocabulary=30), SHAPES).eval()


def _naive(network: RatingNetwork, pooled: Tensor, answers: Answers, elsewhere: float, temperature: float) -> Tensor:
    """Sequence by sequence and axis by axis, as section 2 of arXiv:1503.02531 has it."""
    total = torch.zeros(())
    for head, said in answers.probabilities.items():
        chances = LINKS[SHAPES[head].link](network.head(head)(pooled)[0])
        for labelled, factor in ((True, 1.0), (False, elsewhere)):
            rows = [row for row, one in enumerate(BATCH) if (head in one.labelled) == labelled
                    and one.text in answers.places and said[answers.places[one.text]].any()]  # fmt: skip
            whole = sum(BATCH[row].weight for row in rows)
            for row in rows:
                place = answers.places[BATCH[row].text]
                for axis in range(len(SHAPES[head].axes)):
                    wanted = torch.softmax(said[place, axis].log() / temperature, 0)
                    flat = torch.softmax(chances[row, axis] / temperature, 0)
                    divergence = F.kl_div(flat.log(), wanted, reduction="sum") * temperature**2
                    share = BATCH[row].weight / whole * len(rows) / len(BATCH)
                    total = total + factor * share * divergence / len(SHAPES[head].axes)
    return total


@pytest.mark.parametrize(("elsewhere", "temperature"), [(0.3, 1.0), (0.0, 2.0)])
def test_the_loss_and_its_gradient_are_the_naive_ones(elsewhere: float, temperature: float) -> None:
    network, answers = _network(), _answers()
    lessons = Lessons(answers, _settings(elsewhere=elsewhere, temperature=temperature), dict.fromkeys(SHAPES, 1.0))
    pooled = torch.randn(len(BATCH), network.shape.pooled, requires_grad=True)
    ours, expected = lessons.loss(network, pooled, BATCH), _naive(network, pooled, answers, elsewhere, temperature)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(*(torch.autograd.grad(one, pooled)[0] for one in (ours, expected)))


def test_the_parts_of_several_processes_add_up_to_the_whole() -> None:
    network, lessons = _network(), Lessons(_answers(), _settings(), dict.fromkeys(SHAPES, 1.0))
    pooled = torch.randn(len(BATCH), network.shape.pooled)
    parts = [lessons.loss(network, pooled[own], BATCH, own) for own in (slice(0, None, 2), slice(1, None, 2))]
    torch.testing.assert_close(torch.stack(parts).sum(), lessons.loss(network, pooled, BATCH))


def test_who_agrees_with_the_teacher_has_nothing_to_learn() -> None:
    said = torch.tensor([[[0.2, 0.3, 0.5]], [[0.0, 1.0, 0.0]]])
    assert divergences(said.clamp(min=1e-6).log(), said, 2.0).abs().max() < 1e-5


def test_several_teachers_count_by_their_mean_where_both_were_asked() -> None:
    one, other = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([[[0.0, 1.0]]])
    answers = Answers.mean_of([(["a", "b"], {"harm": one}), (["b"], {"harm": other, "more": other})])
    assert answers.probabilities["harm"].tolist() == [[[1.0, 0.0]], [[0.0, 1.0]]]
    assert answers.probabilities["more"].tolist() == [[[0.0, 0.0]], [[0.0, 1.0]]]


def _taught(tiny: Path, folder: Path, extra: str = "", weights: Path | None = None, heads: str = "") -> Path:
    weights = weights or tiny / "run" / "tiny.safetensors"
    path = folder / "pupil.yaml"
    lessons = f"lessons: {{teachers: [{{weights: {weights}, heads: [{heads}]}}]}}\n"
    path.write_text((tiny / "tiny.yaml").read_text() + extra + lessons)
    return path


def test_a_pupil_learns_of_its_teacher_what_its_labels_do_not_say(tiny: Path, tmp_path: Path) -> None:
    """Nine of ten of its rows that are not PG have no label; its teacher knows them."""
    for line in (tiny / "rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["split"] == "train" and row["rating5"] != "PG" and int(row["id"]) % 10:
            row["rating5"] = None
        with (tmp_path / "rows.jsonl").open("a") as stream:
            stream.write(json.dumps(row) + "\n")
    _taught(tiny, tmp_path)
    weights = train(tmp_path / "pupil.yaml", tmp_path / "run", tmp_path)
    rater, teacher = (load_text_rater(str(one)) for one in (weights, tiny / "run" / "tiny.safetensors"))
    texts = ["scene 7: he shoots and swears", "scene 8: explicit scenes of sex", "scene 9: a kitten plays"]
    assert rater(texts).severities.tolist() == teacher(texts).severities.tolist()


def test_answers_are_asked_for_once(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_configuration(_taught(tiny, tmp_path), Training)
    rows = read_rows(settings, tiny)
    first = ask_teachers(settings, rows, tmp_path / "answers")
    monkeypatch.setattr(teachers, "_open", None)
    again = ask_teachers(settings, rows, tmp_path / "answers")
    assert first.places == again.places
    assert all(torch.equal(one, again.probabilities[head]) for head, one in first.probabilities.items())
    assert len(first.places) < len({row.id for row in rows.all}) + 3, "held-out rows are not asked about"


def test_only_the_heads_that_a_teacher_is_strong_in_are_heard(tiny: Path, tmp_path: Path) -> None:
    settings = load_configuration(_taught(tiny, tmp_path, heads="tags"), Training)
    assert ask_teachers(settings, read_rows(settings, tiny), tmp_path).probabilities.keys() == {"tags"}
    settings = load_configuration(_taught(tiny, tmp_path, heads="nudity"), Training)
    with pytest.raises(ValueError, match="share no head nudity"):
        ask_teachers(settings, read_rows(settings, tiny), tmp_path)


def test_a_teacher_is_asked_about_files_that_are_read_here(tiny: Path, tmp_path: Path) -> None:
    path = _taught(tiny, tmp_path)
    path.write_text(path.read_text().replace("heads: [", "files: [other.jsonl], heads: ["))
    with pytest.raises(ValueError, match=r"asked about other\.jsonl, of which no source reads a row"):
        train(path, tmp_path / "pupil", tiny)


def test_a_teacher_is_refused_if_one_source_of_a_file_is_divided_otherwise(tiny: Path, tmp_path: Path) -> None:
    path = _taught(tiny, tmp_path, "  - {file: rows.jsonl, head: both, columns: [text], group: id, licence: CC0}\n")
    with pytest.raises(ValueError, match="may have learned from rows that are held out"):
        train(path, tmp_path / "pupil", tiny)


@pytest.mark.parametrize("extra", ["selection: 0.2\n", ""])
def test_a_teacher_that_may_have_seen_held_out_rows_is_refused(extra: str, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "run", tmp_path / "run")
    weights = tmp_path / "run" / "tiny.safetensors"
    if not extra:
        config = tmp_path / "run" / "config.json"
        config.write_text(config.read_text().replace('"group": "title"', '"group": "other"'))
    path = _taught(tiny, tmp_path, extra, weights)
    with pytest.raises(ValueError, match="may have learned from rows that are held out"):
        train(path, tmp_path / "pupil", tiny)


def test_a_teacher_of_an_earlier_version_is_heard_whatever_its_other_settings_were(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "run", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"forgotten": 1}))
    settings = load_configuration(_taught(tiny, tmp_path, weights=tmp_path / "run" / "tiny.safetensors"), Training)
    assert ask_teachers(settings, read_rows(settings, tiny), tmp_path).places


def test_a_teacher_that_has_held_out_nothing_is_refused(tiny: Path, tmp_path: Path) -> None:
    """As the run of a distillation, whose configuration knows no such rows."""
    shutil.copytree(tiny / "run", tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{}")
    path = _taught(tiny, tmp_path, weights=tmp_path / "run" / "tiny.safetensors")
    with pytest.raises(ValueError, match="may have learned from rows that are held out"):
        train(path, tmp_path / "pupil", tiny)


def test_a_teacher_of_unknown_training_is_refused(tiny: Path, tmp_path: Path) -> None:
    shutil.copy(tiny / "run" / "tiny.safetensors", tmp_path / "lonely.safetensors")
    path = _taught(tiny, tmp_path, weights=tmp_path / "lonely.safetensors")
    with pytest.raises(ValueError, match=r"no config\.json beside"):
        train(path, tmp_path / "pupil", tiny)


def test_a_teacher_that_is_not_there_is_to_be_trained_first(tiny: Path, tmp_path: Path) -> None:
    path = _taught(tiny, tmp_path, weights=tmp_path / "nowhere.safetensors")
    with pytest.raises(
        ValueError, match=r"a teacher is missing, no weights .*; train it first, or leave out `lessons:`"
    ):
        train(path, tmp_path / "pupil", tiny)
