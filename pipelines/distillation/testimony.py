"""An expert here as teacher: its evidence about an item is its answer, and it answers the same twice."""

from __future__ import annotations

from capitoline.modalities.schema import Decoded, Evidence, Outcome
from capitoline.pipelines.distillation.answer import Answer, NoAnswerError

TAGS_NAMED = 8
"""Tags that a reason names, at most."""


class Testimony:
    """What one expert concluded about one item, as a teacher's answer."""

    closed = ""

    def __init__(self, evidence: Evidence, labels: tuple[str, ...]) -> None:
        self._evidence, self._labels = evidence, labels

    def ask(self, item: Decoded) -> Answer:
        """Raises NoAnswerError unless the expert rated."""
        evidence = self._evidence
        if evidence.severity is None:
            raise NoAnswerError(f"{evidence.expert} {_ENDED[evidence.outcome]}: {evidence.reason}")
        return Answer(self._labels[evidence.severity], self._reason(), probabilities=evidence.probabilities)

    def ask_again(self, item: Decoded, first: Answer) -> Answer:
        return self.ask(item)

    def _reason(self) -> str:
        evidence = self._evidence
        shares = [f"{one} {share:.0%}" for one, share in zip(self._labels, evidence.probabilities, strict=False)]
        tags = [f"{tag.name} {tag.score:.2f}" for tag in evidence.tags[:TAGS_NAMED]]
        found = [", ".join(part) for part in (shares, tags) if part]
        return f"{evidence.expert}: {'; '.join([*found, evidence.reason] if evidence.reason else found)}"


_ENDED = {
    Outcome.ABSTAINED: "abstained",
    Outcome.ABSENT: "found nothing to look at",
    Outcome.UNSUPPORTED: "cannot read it",
    Outcome.ERROR: "failed",
}
