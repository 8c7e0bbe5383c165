"""A language model behind an endpoint as teacher: paced, tried again, and given up when nobody answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

from capitoline.modalities.schema import Decoded
from capitoline.pipelines.distillation.answer import Answer, NoAnswerError, Usage
from capitoline.pipelines.distillation.endpoint import ClosedError, Endpoint, RejectedError, UnservedError
from capitoline.pipelines.distillation.pace import Pace
from capitoline.pipelines.distillation.prompt import (
    NO_FORM,
    WRONG,
    Message,
    Prompt,
    answer_text,
    estimated_tokens,
    objected,
)
from capitoline.pipelines.distillation.reply import Completion, UnfitError, read_answer, read_completion

SAID_CHARACTERS = 2_000
"""Of an answer that was none, that the teacher is reminded of; they are paid for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a server is asked about one item."""

    answers: int
    """Until one is in the form asked for."""
    attempts: int
    """Requests until one is served."""
    backoff: float
    """Seconds before the second request, doubled before each further one."""
    longest_wait: float
    """Seconds that the server may ask for."""
    give_up: int
    """Items in a row that nothing was served for, after which the teacher is closed."""


class ChatTeacher:
    """Asks one model. Used by several threads at once."""

    def __init__(
        self, endpoint: Endpoint, prompt: Prompt, parameters: dict[str, Any], answer_tokens: int, pace: Pace,
        patience: Patience, closed: str = "",
    ) -> None:  # fmt: skip
        """`parameters` go into every request beside the messages: the model, the temperature. `closed` says
        why this teacher cannot be asked from the start."""
        self._endpoint, self._prompt, self._parameters = endpoint, prompt, parameters
        self._answer_tokens, self._pace, self._patience = answer_tokens, pace, patience
        self._unserved = 0
        self._closed, self._ended = closed, threading.Event()
        self._lock = threading.Lock()

    @property
    def closed(self) -> str:
        """Why no further question makes sense; empty while one does."""
        return self._closed

    def close(self, reason: str) -> None:
        """Nothing more is asked, and nobody waits to ask once more."""
        self._closed = self._closed or reason
        self._ended.set()

    def ask(self, item: Decoded) -> Answer:
        """Raises NoAnswerError."""
        if problem := self._prompt.problem(item):
            raise NoAnswerError(problem)
        return self._answer(self._prompt.question(item))

    def ask_again(self, item: Decoded, first: Answer) -> Answer:
        """Raises NoAnswerError."""
        said = answer_text(first.label, first.reason)
        return self._answer(objected(self._prompt.question(item), said, WRONG))

    def _answer(self, messages: list[Message]) -> Answer:
        """Asks until the answer is in the form asked for."""
        usage, asked, problem = Usage(), messages, ""
        for _ in range(self._patience.answers):
            try:
                completion = self._served(asked)
            except NoAnswerError as error:
                raise NoAnswerError(str(error), usage + error.usage, error.unserved) from error
            usage += completion.usage
            try:
                label, reason = self._read(completion)
            except UnfitError as error:
                problem = self._endpoint.hidden(str(error))
                asked = objected(messages, error.said[:SAID_CHARACTERS], NO_FORM) if error.said else messages
            else:
                return Answer(label, self._endpoint.hidden(reason), usage)
        raise NoAnswerError(f"{problem} (the last of {self._patience.answers} answers)", usage)

    def _served(self, messages: list[Message]) -> Completion:
        """Requests until one is served; its usage counts those before it."""
        failed, failure = 0, ""
        while failed < self._patience.attempts and not self._closed:
            try:
                completion = self._complete(messages)
            except UnservedError as error:
                failed, failure = failed + 1, str(error)
                if error.wait > self._patience.longest_wait:
                    break
                self._rest(failed, error.wait)
            except RejectedError as error:
                raise NoAnswerError(str(error), Usage(requests=failed + 1)) from error
            except ClosedError as error:
                self.close(str(error))
                raise NoAnswerError(str(error), Usage(requests=failed + 1), unserved=True) from error
            else:
                self._note(served=True)
                return replace(completion, usage=completion.usage + Usage(requests=failed))
        failure = f"{failure} (the last of {failed} requests)" if failed else self._closed
        self._note(served=False, failure=failure)
        raise NoAnswerError(failure, Usage(requests=failed), unserved=True)

    def _complete(self, messages: list[Message]) -> Completion:
        foreseen = Usage(1, estimated_tokens(messages), self._answer_tokens)
        reserved = foreseen.prompt_tokens + foreseen.answer_tokens
        self._pace.wait(reserved)
        completion = read_completion(self._endpoint.post({**self._parameters, "messages": messages}), foreseen)
        self._pace.correct(completion.usage.prompt_tokens + completion.usage.answer_tokens - reserved)
        return completion

    def _read(self, completion: Completion) -> tuple[str, str]:
        if completion.problem:
            raise UnfitError(completion.problem, completion.said)
        return read_answer(completion.said, self._prompt.labels)

    def _rest(self, failed: int, wait: float) -> None:
        """Waits as long as the server asks for, and longer after each failure; not after the last."""
        if failed == self._patience.attempts:
            return
        if wait:
            self._pace.pause(wait)
        self._ended.wait(max(wait, self._patience.backoff * 2 ** (failed - 1)))

    def _note(self, served: bool, failure: str = "") -> None:
        """Counts the items in a row that nothing was served for, and closes the teacher at the limit."""
        with self._lock:
            self._unserved = 0 if served else self._unserved + 1
            if self._unserved >= self._patience.give_up:
                self.close(f"{self._unserved} rows in a row were not served, the last because: {failure}")
