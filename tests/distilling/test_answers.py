"""Rows in, a labelled data set out: nothing lost, nothing invented, nothing told. A real server, real rows."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from capitoline.configs.training import Source
from capitoline.pipelines.distillation.answers import distil_answers
from capitoline.pipelines.distillation.prompt import NO_FORM, WRONG
from capitoline.pipelines.training.dataset import Division, read_examples

from .conftest import Configure, Row, Serve, read_lines

LABELS = ("PG", "PG13", "R", "X", "XXX")
Answers = dict[str, list[Row]]


def labelled(out: Path) -> list[Row]:
    return read_lines(out / "labelled.jsonl")


def errors(out: Path) -> dict[str, Row]:
    return {row["id"]: row for row in read_lines(out / "errors.jsonl")}


def wrong(label: str) -> str:
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


def test_every_row_gets_the_teacher_s_label_and_reason_and_says_where_they_come_from(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server, out = serve(answers=right), tmp_path / "out"
    distil_answers(configure(server.url), out, tmp_path)
    found = labelled(out)
    assert [(row["id"], row["label"], row["split"]) for row in found] == [
        (row["id"], row["rating5"], row["split"]) for row in rows
    ]
    assert found[0]["reason"] == f"for {rows[0]['genres']}"
    assert (found[0]["text"], found[0]["title"]) == (rows[0]["text"], rows[0]["title"])
    told = found[0]["provenance"]
    assert (told["teacher"], told["model"], told["requests"], told["prompt_tokens"]) == (server.url, "scenario", 1, 100)
    assert told["prompt"] in (out / "README.md").read_text(encoding="utf-8")
    assert told["asked_at"] and told["digest"]


def test_the_result_trains(serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path) -> None:
    distil_answers(configure(serve(answers=right).url), tmp_path / "out", tmp_path)
    source = Source(file="out/labelled.jsonl", columns=("text",), label="label")
    examples = read_examples([source], tmp_path, LABELS)
    assert [LABELS[one.severity] for one in examples] == [row["rating5"] for row in rows]
    sides = {row["split"]: Division.TRAIN if row["split"] == "train" else Division.VALIDATION for row in rows}
    assert [one.division for one in examples] == [sides[row["split"]] for row in rows]


def test_the_result_is_a_manifest_that_can_be_labelled_again(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server = serve(answers=right)
    distil_answers(configure(server.url), tmp_path / "out", tmp_path)
    again = configure(server.url, table=labelled(tmp_path / "out"))
    again.write_text(again.read_text(encoding="utf-8").replace("columns: tags=genres", "columns: ''"), encoding="utf-8")
    distil_answers(again, tmp_path / "again", tmp_path)
    assert [row["tags"] for row in labelled(tmp_path / "again")] == [row["tags"] for row in labelled(tmp_path / "out")]
    assert [row["label"] for row in labelled(tmp_path / "again")] == [row["rating5"] for row in rows]


@pytest.mark.parametrize(
    ("policy", "judgements", "requests"),
    [
        ("keep", ["disagreed and kept", "disagreed and kept"], [1, 1]),
        ("discard", ["disagreed and discarded", "disagreed and discarded"], [1, 1]),
        ("ask_again", ["agreed when asked again", "disagreed twice and kept"], [2, 2]),
        ("ask_again_then_discard", ["agreed when asked again", "disagreed twice and discarded"], [2, 2]),
    ],
)
def test_a_policy_says_what_becomes_of_a_wrong_answer(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path,
    policy: str, judgements: list[str], requests: list[int],
) -> None:  # fmt: skip
    """The first row's answer is wrong and then right, the second's wrong for ever, the others' right."""
    first, second = rows[:2]
    steps = [{"label": wrong(first["rating5"])}, {"label": first["rating5"]}]
    answers = {**right, first["text"]: steps, second["text"]: [{"label": wrong(second["rating5"])}]}
    server, out = serve(answers=answers), tmp_path / "out"
    distil_answers(configure(server.url, policy=policy), out, tmp_path)
    found = {row["id"]: row for row in [*labelled(out), *read_lines(out / "discarded.jsonl")]}
    assert [found[row["id"]]["provenance"]["judgement"] for row in (first, second)] == judgements
    assert [server.asked(row) for row in (first, second)] == requests
    assert len(found) == len(rows)
    assert all("label" not in row for row in read_lines(out / "discarded.jsonl"))


def test_asked_again_the_teacher_learns_only_that_it_was_wrong(
    serve: Serve, configure: Configure, rows: list[Row], tmp_path: Path
) -> None:
    server = serve(otherwise=[{"label": "XXX", "reason": "guessed"}])
    distil_answers(configure(server.url, question={"show": ["title"]}), tmp_path / "out", tmp_path)
    assert {len(one["said"]) for one in server.requests()} == {0, 2}
    for one in server.requests():
        assert one["said"] in ([], [json.dumps({"label": "XXX", "reason": "guessed"}), WRONG])
        assert set(json.loads(one["content"])) == {"text", "tags", "title"}


BAD: dict[str, Any] = {
    "prose": {"say": "It is R."},
    "label": {"label": "NC-17"},
    "no_reason": {"say": '{"label": "R"}'},
    "refusal": {"say": None, "refusal": "I cannot help with that"},
    "no_choices": {"choices": []},
    "no_json": {"raw": "<html>proxy</html>"},
    "busy": {"status": 429, "headers": {"Retry-After": "0.05"}},
    "broken": {"status": 500},
    "cut_short": {"label": "R", "lacking": 9},
    "huge": {"label": "R", "blanks": 300_000},
    "hung_up": {"hang_up": True},
    "late": {"label": "R", "sleep": 3},
}
HASTY = {"answers": 2, "attempts": 2, "timeout": 1, "response_bytes": 200_000, "concurrency": 4, "give_up": 100}


def test_a_teacher_that_fails_once_is_asked_once_more(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    failing = dict(zip(BAD, rows, strict=False))
    answers = {**right, **{row["text"]: [BAD[name], *right[row["text"]]] for name, row in failing.items()}}
    server, out = serve(answers=answers), tmp_path / "out"
    counted, items = distil_answers(configure(server.url, endpoint=HASTY), out, tmp_path)
    assert (counted.fates["labelled"], items) == (len(rows), len(rows))  # type: ignore[index]
    assert [row["label"] for row in labelled(out)] == [row["rating5"] for row in rows]
    assert {server.asked(row) for row in failing.values()} == {2}
    said = next(one["said"] for one in server.requests() if one["text"] == failing["prose"]["text"] and one["said"])
    assert said == ["It is R.", NO_FORM]


def test_a_teacher_that_fails_for_ever_leaves_an_error_with_its_reason_and_never_a_label(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    failing = dict(zip(BAD, rows, strict=False))
    answers = {**right, **{row["text"]: [BAD[name]] for name, row in failing.items()}}
    out = tmp_path / "out"
    distil_answers(configure(serve(answers=answers).url, endpoint=HASTY), out, tmp_path)
    found = errors(out)
    assert set(found) == {row["id"] for row in failing.values()}
    assert all("label" not in row and row["error"] for row in found.values())
    why = {name: found[row["id"]]["error"] for name, row in failing.items()}
    assert "not JSON" in why["prose"] and "NC-17" in why["label"] and "no reason" in why["no_reason"]
    assert "refused: I cannot" in why["refusal"] and "no choices" in why["no_choices"]
    assert "429" in why["busy"] and "500" in why["broken"] and "larger than" in why["huge"]
    assert len(labelled(out)) == len(rows) - len(found)


def test_a_row_without_anything_to_show_is_an_error_and_costs_no_request(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server, out = serve(answers=right), tmp_path / "out"
    bare = {"id": "bare", "split": "train", "rating5": "R"}
    distil_answers(configure(server.url, table=[bare, rows[0]]), out, tmp_path)
    assert "no text" in errors(out)["bare"]["error"]
    assert len(server.requests()) == 1


def test_a_row_without_a_trusted_label_is_labelled_unchecked(
    serve: Serve, configure: Configure, rows: list[Row], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    unknown = [{**row, "rating5": None} for row in rows]
    distil_answers(configure(serve(otherwise=[{"label": "X"}]).url, table=unknown), out, tmp_path)
    assert {(row["label"], row["provenance"]["judgement"]) for row in labelled(out)} == {("X", "no trusted label")}
    assert "No row with an answer has a trusted label" in (out / "README.md").read_text(encoding="utf-8")


def test_a_trusted_label_off_the_scale_is_said_before_anything_is_asked(
    serve: Serve, configure: Configure, rows: list[Row], tmp_path: Path
) -> None:
    server = serve(otherwise=[{"label": "R"}])
    with pytest.raises(ValueError, match="'NC-17' is not on the scale"):
        distil_answers(
            configure(server.url, table=[*rows, {**rows[0], "rating5": "NC-17"}]), tmp_path / "out", tmp_path
        )
    assert server.requests() == []


def test_the_card_s_agreement_is_that_of_first_answers(
    serve: Serve, configure: Configure, rows: list[Row], tmp_path: Path
) -> None:
    """All answers are R, so every R row agrees at once and every other is discarded after a second try."""
    out = tmp_path / "out"
    counted, _ = distil_answers(configure(serve(otherwise=[{"label": "R"}]).url), out, tmp_path)
    truth = [LABELS.index(row["rating5"]) for row in rows]
    constant = [LABELS.index("R")] * len(rows)
    assert counted.first.accuracy == pytest.approx(accuracy_score(truth, constant))
    assert counted.first.kappa == pytest.approx(
        cohen_kappa_score(truth, constant, weights="quadratic", labels=range(5))
    )
    assert (counted.final.accuracy, counted.final.count) == (1.0, truth.count(2))
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"| first answers | {len(rows)} | {counted.first.accuracy:.3f} |" in card
    assert f"| PG | 0 | 0 | {truth.count(0)} | 0 | 0 |" in card


def test_the_cost_is_counted_over_all_attempts(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    answers = {**right, rows[0]["text"]: [{"say": "hm", "usage": {"prompt_tokens": 1000, "completion_tokens": 7}},
                                          *right[rows[0]["text"]]]}  # fmt: skip
    prices = {"prompt_price": 2.0, "answer_price": 10.0, "currency": "EUR"}
    out = tmp_path / "out"
    counted, _ = distil_answers(configure(serve(answers=answers).url, endpoint=prices), out, tmp_path)
    prompts, said = 100 * len(rows) + 1000, 20 * len(rows) + 7
    assert (counted.usage.requests, counted.usage.prompt_tokens, counted.usage.answer_tokens) == (
        len(rows) + 1, prompts, said,
    )  # fmt: skip
    assert f"{(2 * prompts + 10 * said) / 1e6:.4f} EUR" in (out / "README.md").read_text(encoding="utf-8")


def test_requests_keep_the_pace(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server = serve(answers=right)
    pace = {"requests_per_minute": 600}
    distil_answers(configure(server.url, table=rows[:8], endpoint=pace), tmp_path / "out", tmp_path)
    moments = [one["at"] for one in server.requests()]
    assert moments[-1] - moments[0] >= 7 * 0.1 * 0.5  # a busy machine may note the first one late


def test_pictures_are_shown_to_a_model_that_sees(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, data: Path, tmp_path: Path
) -> None:
    server = serve(answers=right)
    columns = {"paths": ["rows.jsonl"], "columns": "tags=genres,image=poster", "media": str(data / "posters_mm.zip")}
    config = configure(server.url, table=rows[:2], question={"pictures": True}, rows=columns)
    distil_answers(config, tmp_path / "out", tmp_path)
    for one in server.requests():
        assert one["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert [row["media"] for row in labelled(tmp_path / "out")] == [[row["poster"]] for row in rows[:2]]


def test_a_picture_that_cannot_be_shown_makes_the_row_an_error(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, data: Path, tmp_path: Path
) -> None:
    """Its label would be of the text alone; where pictures are not shown to anybody, the text is what is labelled."""
    columns = {"paths": ["rows.jsonl"], "columns": "image=poster", "media": str(data / "posters_mm.zip")}
    table, server = [{**rows[0], "poster": "no-such.jpg"}, rows[1]], serve(answers=right)
    for name, pictures in (("seen", True), ("unseen", False)):
        config = configure(server.url, table=table, question={"pictures": pictures}, rows=columns)
        distil_answers(config, tmp_path / name, tmp_path)
    assert "no-such.jpg" in errors(tmp_path / "seen")[rows[0]["id"]]["error"]
    assert len(labelled(tmp_path / "unseen")) == 2


def test_other_manifests_do_as_well(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "split", "title", "genres", "text", "rating5"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    config = configure(serve(answers=right).url, rows={"paths": ["rows.csv"], "columns": "tags=genres"})
    distil_answers(config, tmp_path / "out", tmp_path)
    assert [row["label"] for row in labelled(tmp_path / "out")] == [row["rating5"] for row in rows]


def test_rows_that_are_not_there_are_looked_for_in_a_folder_that_can_be_named(
    configure: Configure, tmp_path: Path
) -> None:
    config = configure("http://127.0.0.1:9", rows={"paths": ["missing.jsonl"]})
    with pytest.raises(ValueError, match=r"there is no .*missing\.jsonl; set CAPITOLINE_DATA or --data"):
        distil_answers(config, tmp_path / "out", tmp_path)


def test_an_expert_with_weights_of_one_s_own_can_teach_and_an_unknown_one_is_refused(
    configure: Configure, rows: list[Row], tmp_path: Path
) -> None:
    own = {"kind": "tags", "name": "mine", "weights": "text"}
    distil_answers(configure("http://127.0.0.1:9", teacher="expert:mine", expert=own), tmp_path / "out", tmp_path)
    told = [row["provenance"]["teacher"] for row in read_lines(tmp_path / "out" / "discarded.jsonl")]
    assert told
    assert set(told) == {"expert:mine"}
    assert len(labelled(tmp_path / "out")) + len(told) == len(rows)
    with pytest.raises(ValueError, match="there is no expert 'mine'"):
        distil_answers(configure("http://127.0.0.1:9", teacher="expert:mine"), tmp_path / "other", tmp_path)


def test_an_expert_here_can_teach_and_shows_its_probabilities(configure: Configure, data: Path, tmp_path: Path) -> None:
    with gzip.open(data / "mpaa_reasons.jsonl.gz", "rt", encoding="utf-8") as file:
        reasons = [json.loads(line) for line in itertools.islice(file, 60)]
    silent = {"id": "silent", "split": "train", "genres": "Drama", "rating5": "R"}
    config = configure("http://127.0.0.1:9", table=[*reasons, silent], teacher="expert:text", policy="keep")
    out = tmp_path / "out"
    counted, items = distil_answers(config, out, tmp_path)
    assert items == counted.fates.total() == 61
    assert "no text" in errors(out)["silent"]["error"]
    assert all(sum(row["probabilities"]) == pytest.approx(1, abs=1e-4) for row in labelled(out))
    assert all(row["reason"].startswith("text: PG ") for row in labelled(out))
    assert counted.first.kappa > 0.5
    assert counted.usage.requests == 0
