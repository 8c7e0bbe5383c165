"""What happens where a trusted label exists and the teacher disagrees: four policies of Ma et al. (arXiv:2310.03400).

Each is given the teacher's wrong answer, the trusted label, and a way of asking again in which
the teacher learns only that its answer was wrong: a teacher that is told the right label finds
a reason for any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from capitoline.pipelines.distillation.answer import Answer


class Judgement(StrEnum):
    """How a row with an answer ended."""

    UNCHECKED = "no trusted label"
    AGREED = "agreed"
    KEPT = "disagreed and kept"
    DISCARDED = "disagreed and discarded"
    CORRECTED = "agreed when asked again"
    KEPT_AGAIN = "disagreed twice and kept"
    DISCARDED_AGAIN = "disagreed twice and discarded"


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer that the data set gets, None if the row is dropped."""

    judgement: Judgement
    answer: Answer | None


AskAgain = Callable[[], Answer]
Policy = Callable[[Answer, str, AskAgain], Judged]


def keep(wrong: Answer, trusted: str, ask_again: AskAgain) -> Judged:
    """The teacher is believed."""
    return Judged(Judgement.KEPT, wrong)


def discard(wrong: Answer, trusted: str, ask_again: AskAgain) -> Judged:
    """Only rows on which both agree are kept."""
    return Judged(Judgement.DISCARDED, None)


def ask_again(wrong: Answer, trusted: str, ask_again: AskAgain) -> Judged:
    """The second answer stands, right or wrong."""
    second = ask_again()
    return Judged(Judgement.CORRECTED if second.label == trusted else Judgement.KEPT_AGAIN, second)


def ask_again_then_discard(wrong: Answer, trusted: str, ask_again: AskAgain) -> Judged:
    """The second answer stands if it is right."""
    second = ask_again()
    if second.label == trusted:
        return Judged(Judgement.CORRECTED, second)
    return Judged(Judgement.DISCARDED_AGAIN, None)


POLICIES: Mapping[str, Policy] = {
    "keep": keep,
    "discard": discard,
    "ask_again": ask_again,
    "ask_again_then_discard": ask_again_then_discard,
}


def judge(policy: Policy, answer: Answer, trusted: str, ask_again: AskAgain) -> Judged:
    """`policy` where teacher and trusted label disagree; `trusted` is empty where there is none."""
    if not trusted:
        return Judged(Judgement.UNCHECKED, answer)
    if answer.label == trusted:
        return Judged(Judgement.AGREED, answer)
    return policy(answer, trusted, ask_again)
