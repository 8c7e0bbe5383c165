"""What is kept of an item that could not be decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from capitoline.configs.settings import Settings, TagsExpert, ThresholdsExpert
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, Failure, Item, Modality, Outcome
from capitoline.pipelines import rate
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.explain import explain
from capitoline.pipelines.records import DECODE, Decide
from capitoline.pipelines.replay import replay
from capitoline.pipelines.store import read_ratings

BROKEN = Path(__file__).resolve().parents[2] / "samples" / "broken.jpg"


@pytest.mark.slow
def test_the_reason_of_a_broken_picture_is_kept_where_only_the_tags_are_rated(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "tags": ["comedy"], "image": "broken.jpg"}\n')
    (tmp_path / "broken.jpg").write_bytes(BROKEN.read_bytes())
    settings = Settings(experts=(ThresholdsExpert(taggers=()), TagsExpert()))
    out = tmp_path / "out"
    rate(str(tmp_path / "rows.jsonl"), out, settings)
    verdict = explain(out, "a").record.verdict
    (reason,) = [one.reason for one in verdict.evidence if one.expert == DECODE]
    assert "truncated" in reason
    assert verdict.rating == UNRATED
    assert f"{DECODE} failed: {reason}" in verdict.review
    # Deciding again, also without the expert that is asked no more, says the same.
    replay(out, settings, tmp_path / "again")
    assert _review(tmp_path / "again") == _review(out)


@pytest.mark.parametrize("reported", [True, False])
def test_a_failure_is_told_once(reported: bool) -> None:
    decoded = Decoded(Item("a"), "", tags=("comedy",), failures={Modality.IMAGE: Failure(Outcome.ERROR, "cut short")})
    by_tags = Evidence("tags", Modality.TAGS, Outcome.RATED, severity=0)
    by_image = Evidence("image", Modality.IMAGE, Outcome.ERROR, "cut short")
    evidence = [by_tags, by_image] if reported else [by_tags]
    (record,) = Decide(build_decider(Settings()))([decoded], *([one] for one in evidence))
    assert [one.expert for one in record.verdict.evidence if one.reason] == (["image"] if reported else [DECODE])


def _review(out: Path) -> list[str]:
    return [reason for table in read_ratings(out) for row in table.to_pylist() for reason in row["review"]]
