"""What happens where teacher and trusted label disagree."""

from __future__ import annotations

import pytest

from capitoline.pipelines.distillation.answer import Answer, NoAnswerError
from capitoline.pipelines.distillation.policies import POLICIES, Judged, Judgement, judge

WRONG, RIGHT, ALSO_WRONG = Answer("PG", "harmless"), Answer("R", "a murder"), Answer("X", "a massacre")


def never() -> Answer:
    raise AssertionError("asked again")


@pytest.mark.parametrize("name", POLICIES)
def test_without_a_trusted_label_or_with_the_same_one_the_answer_stands_and_nobody_asks_again(name: str) -> None:
    assert judge(POLICIES[name], RIGHT, "", never) == Judged(Judgement.UNCHECKED, RIGHT)
    assert judge(POLICIES[name], RIGHT, "R", never) == Judged(Judgement.AGREED, RIGHT)


def test_keep_believes_the_teacher() -> None:
    assert judge(POLICIES["keep"], WRONG, "R", never) == Judged(Judgement.KEPT, WRONG)


def test_discard_drops_the_row() -> None:
    assert judge(POLICIES["discard"], WRONG, "R", never) == Judged(Judgement.DISCARDED, None)


@pytest.mark.parametrize(
    ("second", "asked_again", "then_discarded"),
    [
        (RIGHT, Judged(Judgement.CORRECTED, RIGHT), Judged(Judgement.CORRECTED, RIGHT)),
        (ALSO_WRONG, Judged(Judgement.KEPT_AGAIN, ALSO_WRONG), Judged(Judgement.DISCARDED_AGAIN, None)),
        (WRONG, Judged(Judgement.KEPT_AGAIN, WRONG), Judged(Judgement.DISCARDED_AGAIN, None)),
    ],
)
def test_asking_again_takes_the_second_answer_or_only_a_right_one(
    second: Answer, asked_again: Judged, then_discarded: Judged
) -> None:
    assert judge(POLICIES["ask_again"], WRONG, "R", lambda: second) == asked_again
    assert judge(POLICIES["ask_again_then_discard"], WRONG, "R", lambda: second) == then_discarded


@pytest.mark.parametrize("name", ["ask_again", "ask_again_then_discard"])
def test_no_second_answer_is_no_answer_and_the_wrong_one_does_not_come_back(name: str) -> None:
    def unanswered() -> Answer:
        raise NoAnswerError("nothing")

    with pytest.raises(NoAnswerError):
        judge(POLICIES[name], WRONG, "R", unanswered)
