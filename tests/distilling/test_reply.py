"""Only JSON with a label of the scale and a reason is an answer."""

from __future__ import annotations

import json

import pytest

from capitoline.pipelines.distillation.answer import Usage
from capitoline.pipelines.distillation.reply import UnfitError, read_answer, read_completion

LABELS = ("G", "PG", "PG-13", "R", "NC-17")
FORESEEN = Usage(1, 90, 300)


def test_an_answer_is_a_label_and_a_reason_alone_or_in_a_fence() -> None:
    said = '{"label": "PG-13", "reason": "a  fist\\nfight"}'
    assert read_answer(said, LABELS) == ("PG-13", "a fist fight")
    assert read_answer(f"```json\n{said}\n```\n", LABELS) == ("PG-13", "a fist fight")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("R", "not JSON"),
        ('Sure! {"label": "R", "reason": "x"}', "not JSON"),
        ('{"label": "R", "reason": "x"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"R"', "not a JSON object"),
        ('[{"label": "R", "reason": "x"}]', "not a JSON object"),
        ('{"reason": "x"}', "label null is not on the scale"),
        ('{"label": "PG13", "reason": "x"}', '"PG13" is not on the scale'),
        ('{"label": "r", "reason": "x"}', "not on the scale"),
        ('{"label": 3, "reason": "x"}', "not on the scale"),
        ('{"label": ["R"], "reason": "x"}', "not on the scale"),
        ('{"label": "UNRATED", "reason": "x"}', "not on the scale"),
        ('{"label": "R"}', "no reason"),
        ('{"label": "R", "reason": "  "}', "no reason"),
        ('{"label": "R", "reason": {"a": 1}}', "no reason"),
    ],
)
def test_anything_else_is_no_answer_and_says_why(said: str, why: str) -> None:
    with pytest.raises(UnfitError, match=why):
        read_answer(said, LABELS)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": [null]}', "no choices"),
        (b'{"choices": [{}]}', "empty"),
        (b'{"choices": [{"message": {"content": null}}]}', "empty"),
        (b'{"choices": [{"message": {"content": [{"text": "R"}]}}]}', "empty"),
        (b'{"choices": [{"message": {"content": null, "refusal": "I cannot"}}]}', "refused: I cannot"),
        (b'{"choices": [{"message": {"content": "{}"}, "finish_reason": "content_filter"}]}', "refused"),
        (b'{"choices": [{"message": {"content": "{}"}, "finish_reason": "length"}]}', "limit of tokens"),
    ],
)
def test_a_response_without_words_has_a_problem(body: bytes, problem: str) -> None:
    assert problem in read_completion(body, FORESEEN).problem


def test_tokens_are_the_server_s_and_where_it_says_none_those_foreseen() -> None:
    def usage(said: object) -> Usage:
        body = {"choices": [{"message": {"content": "{}"}}], "usage": said}
        return read_completion(json.dumps(body).encode(), FORESEEN).usage

    assert usage({"prompt_tokens": 12, "completion_tokens": 3}) == Usage(1, 12, 3)
    assert usage({"prompt_tokens": -5, "completion_tokens": True}) == FORESEEN
    assert usage(None) == usage("many") == FORESEEN
