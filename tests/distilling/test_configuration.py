"""A configuration that could cost money or a secret by mistake is refused."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from capitoline.configs.answers import AnswerDistillation
from capitoline.configs.training import load_configuration

RIGHT: dict[str, Any] = {
    "name": "answers",
    "purpose": "A test.",
    "rows": {"paths": ["rows.jsonl"]},
    "endpoint": {"url": "http://127.0.0.1:8000/v1/", "model": "scenario"},
}


def test_the_example_is_valid() -> None:
    path = Path(str(files("capitoline.configs.distil") / "answers.yaml"))
    assert load_configuration(path, AnswerDistillation).policy == "ask_again_then_discard"


def test_the_smallest_one_is_valid() -> None:
    settings = AnswerDistillation.model_validate(RIGHT)
    assert settings.endpoint is not None
    assert settings.endpoint.url == "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"endpoint": {"url": "https://me:secret@host/v1", "model": "m"}}, "api_key_env"),
        ({"endpoint": {"url": "https://host/v1?key=secret", "model": "m"}}, "https://host/v1"),
        ({"endpoint": {"url": "file:///etc/passwd", "model": "m"}}, "https://host/v1"),
        ({"endpoint": {"url": "https://host/v1", "model": "m", "api_key": "secret"}}, "api_key"),
        ({"endpoint": None}, "say which one"),
        ({"teacher": "text"}, "expert:NAME"),
        ({"policy": "believe"}, "policy"),
        ({"trusted": {"column": "rating5"}, "question": {"show": ["rating5"]}}, "shown the trusted label"),
        ({"trusted": {"column": "rating", "mapping": {"G": "U"}}}, "not on the scale"),
        ({"scale": ["safe", "unsafe"]}, "what the labels of your scale mean"),
        ({"budget": 1.0}, "a budget needs"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        AnswerDistillation.model_validate({**RIGHT, **change})


def test_a_secret_typed_into_the_configuration_is_refused_without_being_repeated(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(
        "{name: a, purpose: b, rows: {paths: [c]}, endpoint: {url: 'https://me:sk-secret@host/v1', model: m}}",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="api_key_env") as caught:
        load_configuration(path, AnswerDistillation)
    assert "sk-secret" not in str(caught.value)
