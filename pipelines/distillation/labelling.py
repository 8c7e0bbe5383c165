"""The last node of the graph: decoded items → what became of each row.

Like an expert it never raises for an item: no answer is an outcome with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from capitoline.modalities.schema import Decoded, Evidence, Item
from capitoline.pipelines.distillation.answer import Answer, Fate, Labelling, NoAnswerError, Teacher, Usage
from capitoline.pipelines.distillation.chat_teacher import ChatTeacher
from capitoline.pipelines.distillation.policies import Policy, judge
from capitoline.pipelines.distillation.testimony import Testimony
from capitoline.pipelines.distillation.trust import Trust


@dataclass(frozen=True, slots=True)
class Court:
    """What is done with answers."""

    policy: Policy
    trust: Trust


class LabelByChat:
    """Asks a language model about several items at a time."""

    def __init__(self, teacher: ChatTeacher, court: Court, threads: int, cuts: Callable[[Decoded], bool]) -> None:
        self._teacher, self._court, self._threads, self._cuts = teacher, court, threads, cuts

    def __call__(self, items: Sequence[Decoded]) -> list[Labelling]:
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                labellings = list(pool.map(self._label, items))
            except BaseException:  # Ctrl-C: the pool waits for its threads, which should not wait for a server
                self._teacher.close("stopped")
                raise
        # Rows that only the server failed are no errors of the data set if it has gone away: the next run asks.
        gone = bool(self._teacher.closed)
        return [replace(one, fate=Fate.UNASKED) if gone and one.unserved else one for one in labellings]

    def _label(self, item: Decoded) -> Labelling:
        return label_item(item, self._teacher, self._court, self._cuts(item))


class LabelByExpert:
    """Takes an expert's evidence for its answers."""

    def __init__(self, court: Court, labels: tuple[str, ...]) -> None:
        self._court, self._labels = court, labels

    def __call__(self, items: Sequence[Decoded], evidence: Sequence[Evidence]) -> list[Labelling]:
        pairs = zip(items, evidence, strict=True)
        return [label_item(item, Testimony(one, self._labels), self._court) for item, one in pairs]


def label_item(item: Decoded, teacher: Teacher, court: Court, cut: bool = False) -> Labelling:
    """Asks about one item, and again if the policy wants to."""
    if teacher.closed:
        return Labelling(item.item, Fate.UNASKED, why=teacher.closed)
    talk, trusted = _Talk(item, teacher), court.trust(item.item)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = Labelling(item.item, Fate.ERROR, item.digest, item.text, item.tags, trusted=trusted, asked_at=now, cut=cut)
    try:
        judged = judge(court.policy, talk.ask(), trusted, talk.ask_again)
    except NoAnswerError as error:
        return replace(row, first=talk.first, usage=talk.usage, why=str(error), unserved=error.unserved)
    judgement, answered = str(judged.judgement), judged.answer is not None
    return replace(
        row,
        fate=Fate.LABELLED if answered else Fate.DISCARDED,
        answer=judged.answer,
        first=talk.first,
        usage=talk.usage,
        judgement=judgement,
        why="" if answered else judgement,
    )


def culprit(item: Item, reason: str) -> Labelling:
    """Of an item that killed or hung every process it ran in."""
    return Labelling(item, Fate.ERROR, text=item.text, tags=item.tags, why=reason)


class _Talk:
    """The questions about one item, and what they took, whether answered or not."""

    def __init__(self, item: Decoded, teacher: Teacher) -> None:
        self._item, self._teacher = item, teacher
        self._answer: Answer | None = None
        self.usage = Usage()

    @property
    def first(self) -> str:
        return self._answer.label if self._answer else ""

    def ask(self) -> Answer:
        self._answer = self._counted(lambda: self._teacher.ask(self._item))
        return self._answer

    def ask_again(self) -> Answer:
        wrong = self._answer
        assert wrong is not None, "asked again before it was asked"
        return self._counted(lambda: self._teacher.ask_again(self._item, wrong))

    def _counted(self, question: Callable[[], Answer]) -> Answer:
        try:
            answer = question()
        except NoAnswerError as error:
            self.usage += error.usage
            raise
        self.usage += answer.usage
        return answer
