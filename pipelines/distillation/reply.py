"""From the bytes of a chat completion to a label and its reason, or to why there is none.

Strict on purpose: a label that is not on the scale, letter for letter, is no label, and nothing
is guessed from prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capitoline.pipelines.distillation.answer import Usage
from capitoline.pipelines.printable import one_line

REASON_CHARACTERS = 2_000
"""Of a reason; the rest is cut."""

_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


class UnfitError(Exception):
    """What the teacher said is no answer."""

    def __init__(self, reason: str, said: str = "") -> None:
        """`said`: its words, if it said any."""
        super().__init__(reason)
        self.said = said


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server returned for one request."""

    said: str
    """Empty if it said nothing."""
    usage: Usage
    problem: str = ""
    """Why `said` cannot be an answer: a refusal, no choices, cut short."""


def read_completion(data: bytes, foreseen: Usage) -> Completion:
    """The completion in a response; `foreseen` is its usage if the server does not say."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        return Completion("", foreseen, f"the response is not JSON: {error}")
    if not isinstance(body, dict):
        return Completion("", foreseen, "the response is not a JSON object")
    usage = _usage(body.get("usage"), foreseen)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return Completion("", usage, "the response has no choices")
    return _first(choices[0], usage)


def read_answer(said: str, labels: Sequence[str]) -> tuple[str, str]:
    """The label and the reason of `{"label": …, "reason": …}`, alone or in a code fence.

    Raises:
        UnfitError: it is anything else, or the label is not on the scale.
    """
    text = said.strip()
    fenced = _FENCE.match(text)
    try:
        answer = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError) as error:
        raise UnfitError(f"the answer is not JSON: {error}", said) from error
    if not isinstance(answer, dict):
        raise UnfitError("the answer is not a JSON object", said)
    label, reason = answer.get("label"), answer.get("reason")
    if not isinstance(label, str) or label not in labels:
        raise UnfitError(f"the label {one_line(json.dumps(label), 60)} is not on the scale", said)
    if not isinstance(reason, str) or not reason.strip():
        raise UnfitError("the answer has no reason", said)
    return label, one_line(reason, REASON_CHARACTERS)


def _first(choice: dict[str, Any], usage: Usage) -> Completion:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    said = message.get("content")
    said = said if isinstance(said, str) else ""
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        return Completion(said, usage, f"refused: {one_line(str(message.get('refusal') or 'content filter'), 200)}")
    if choice.get("finish_reason") == "length":
        return Completion("", usage, "the answer was cut at the limit of tokens")
    return Completion(said, usage, "" if said.strip() else "the answer is empty")


def _usage(value: Any, foreseen: Usage) -> Usage:
    if not isinstance(value, dict):
        return foreseen
    prompt, answer = value.get("prompt_tokens"), value.get("completion_tokens")
    return Usage(1, _count(prompt, foreseen.prompt_tokens), _count(answer, foreseen.answer_tokens))


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
