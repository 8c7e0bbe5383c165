"""Distillation from a teacher's answers: rows in, a labelled data set with its card out.

    distil_answers(Path("configs/distil/answers.yaml"), Path("runs/answers"), Path("../shared/data"))

In the run's folder: `labelled.jsonl` (a manifest that trains), `discarded.jsonl`, `errors.jsonl`,
`README.md` (the card), and what an interrupted run continues from: `manifest.parquet`, `run.json`,
`parts/`. Every row that came in is in one of the three files, or the card says that it was not asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from capitoline.configs.answers import AnswerDistillation
from capitoline.configs.training import load_configuration
from capitoline.modalities.schema import Item
from capitoline.pipelines.assembly import scan_limits
from capitoline.pipelines.distillation.answer import Fate, Labelling
from capitoline.pipelines.distillation.answer_card import write_card
from capitoline.pipelines.distillation.labelling import culprit
from capitoline.pipelines.distillation.ledger import Ledger
from capitoline.pipelines.distillation.parts import Parts
from capitoline.pipelines.distillation.provenance import fate_of, row_of, usage_of
from capitoline.pipelines.distillation.tally import Tally, tally
from capitoline.pipelines.distillation.teaching import (
    answer_graph,
    deadline,
    foreseen,
    prices_of,
    prompt_of,
    rating_settings,
    source_of,
    trust_of,
)
from capitoline.pipelines.fingerprint import Fingerprint
from capitoline.pipelines.graph import Batch
from capitoline.pipelines.job import CHANGES_SHOWN, MANIFEST, SPOOL, Progress, claim, silent
from capitoline.pipelines.lock import locked
from capitoline.pipelines.manifest import Manifest, ManifestInfo, changed_items, write_manifest
from capitoline.pipelines.process import ProcessRunner, Runner
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.location import is_url
from capitoline.pipelines.sources.scan import scan

PART_BYTES = 1 << 30
"""Media of one part; the number of its rows is what the configuration says."""

CHANGEABLE: dict[str, Any] = {
    "asking": {"where", "process_items", "actors"},
    "budget": True,
    "endpoint": {
        "url", "api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute", "answers", "attempts",
        "backoff", "longest_wait", "timeout", "response_bytes", "give_up", "prompt_price", "answer_price", "currency",
    },
    **dict.fromkeys(("name", "purpose", "limits", "licence"), True),
}  # fmt: skip
"""What may differ when a run is continued: no answer depends on it. A model may move; each row says where it was."""


def distil_answers(
    config: Path,
    out: Path,
    data: Path,
    *,
    address: str = "",
    retry_errors: bool = False,
    progress: Progress = silent,
) -> tuple[Tally, int]:
    """Labels the rows that are not committed yet, and writes the data set: its tally, and the rows in all.

    Args:
        data: folder under which relative paths of the configuration lie.
        address: of a Ray cluster; empty for this machine.
        retry_errors: also ask again about rows that are errors.

    Raises:
        ValueError: the configuration cannot be carried out, or `out` holds another run; nothing was asked.
        RuntimeError: the teacher is not to be had any more; what was committed stays, call again to continue.
        OSError: the output folder cannot be written (a full disk); likewise.
    """
    settings = load_configuration(config, AnswerDistillation)
    return _Job(settings, out, data, address, retry_errors, progress).run()


class _Job:
    """A distillation being carried out in its output folder."""

    def __init__(
        self, settings: AnswerDistillation, out: Path, data: Path, address: str, retry_errors: bool, progress: Progress
    ) -> None:
        self._settings, self._out, self._data = settings, out, data
        self._address, self._retry_errors, self._progress = address, retry_errors, progress
        self._source = source_of(settings)
        self._trust = trust_of(settings)
        self._parts = Parts(out)
        self._ledger = Ledger(prices_of(settings), settings.budget)
        self._closed = ""

    def run(self) -> tuple[Tally, int]:
        items = self._items()
        with locked(self._out):
            self._parts.prepare()
            info = self._scan(items)
            self._ask(Manifest(self._out / MANIFEST), info)
            counted = self._publish(info)
        if self._closed:
            raise RuntimeError(f"the teacher cannot be asked any more: {self._closed}")
        return counted, info.items

    def _items(self) -> Iterator[Item]:
        rows = self._settings.rows
        return scan(
            [self._place(path) for path in rows.paths],
            scan_limits(rating_settings(self._settings).limits),
            self._out / SPOOL,
            columns=Columns.parse(rows.columns),
            media_root=self._place(rows.media) if rows.media else None,
            allow_outside=rows.allow_outside,
        )

    def _place(self, path: str) -> str:
        place = self._data / path
        if is_url(path):
            return path
        if not place.exists():
            raise ValueError(f"there is no {place}; set CAPITOLINE_DATA or --data to the folder that holds {path}")
        return str(place)

    def _scan(self, items: Iterator[Item]) -> ManifestInfo:
        """Writes the manifest and claims the folder. Trusted labels off the scale are found before anything is paid."""
        fresh = self._out / f"new-{MANIFEST}"
        try:
            info = write_manifest(self._checked(items), fresh, self._settings.asking.batch, PART_BYTES)
            if not info.items:
                raise ValueError(f"nothing to label in {', '.join(self._settings.rows.paths)}")
            claim(self._out, self._fingerprint(info), partial(self._changed, fresh))
            fresh.replace(self._out / MANIFEST)
        finally:
            fresh.unlink(missing_ok=True)
        return info

    def _checked(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            self._trust(item)
            yield item

    def _changed(self, fresh: Path) -> list[str]:
        return changed_items(self._out / MANIFEST, fresh, CHANGES_SHOWN)

    def _fingerprint(self, info: ManifestInfo) -> Fingerprint:
        kept: dict[str, Any] = self._settings.model_dump(mode="json", exclude=CHANGEABLE)
        asked = {"teacher": self._source.model, "prompt": self._source.prompt}
        return Fingerprint(version("capitoline"), info.items, info.shards, info.digest, asked, kept)

    def _ask(self, manifest: Manifest, info: ManifestInfo) -> None:
        self._ledger.settle({row["id"]: usage_of(row) for row in self._parts})
        waiting = sum(len(items) for _, items in self._pending(manifest))
        done = info.items - waiting
        self._progress(done, info.items)
        if not waiting:
            return
        for batch, result in self._runner(waiting).run(self._batches(manifest)):
            self._commit(manifest, batch, result.values)
            done += len(batch.items)
            self._progress(done, info.items)

    def _pending(self, manifest: Manifest) -> Iterator[tuple[int, list[Item]]]:
        """The rows of each part that are still to be asked about."""
        for part in range(len(manifest)):
            rows = self._parts.rows(part)
            done = {row["id"] for row in rows if not (self._retry_errors and fate_of(row) is Fate.ERROR)}
            if items := [item for item in manifest.shard(part) if item.id not in done]:
                yield part, items

    def _batches(self, manifest: Manifest) -> Iterator[Batch]:
        """Parts, as long as the teacher can be asked and the budget has room for what that may cost."""
        for part, items in self._pending(manifest):
            allowed: list[Item] = []
            for item in items:
                if self._closed or not self._ledger.reserve(item.id, foreseen(self._settings, item)):
                    break
                allowed.append(item)
            if allowed:
                yield Batch(part, tuple(allowed))
            if len(allowed) < len(items):
                return

    def _commit(self, manifest: Manifest, batch: Batch, labellings: Sequence[Labelling]) -> None:
        self._ledger.settle({one.item.id: one.usage for one in labellings})
        asked = [one for one in labellings if one.fate is not Fate.UNASKED]
        self._closed = next((one.why for one in labellings if one.fate is Fate.UNASKED), self._closed)
        if asked:
            order = [item.id for item in manifest.shard(batch.shard)]
            self._parts.commit(batch.shard, order, [row_of(one, self._source) for one in asked])

    def _runner(self, waiting: int) -> Runner:
        asking = self._settings.asking
        in_process = asking.where == "process" or (asking.where == "auto" and waiting < asking.process_items)
        if in_process and not self._address:
            return ProcessRunner(answer_graph(self._settings, 1))
        from capitoline.pipelines.cluster import ClusterRunner, start_ray
        from capitoline.pipelines.placement import place

        owned = start_ray(self._address)
        return ClusterRunner(
            place(answer_graph(self._settings, asking.actors), "auto", asking.actors),
            asking.actors + 1,
            deadline=partial(deadline, self._settings, asking.actors),
            culprit=culprit,
            owned=owned,
        )

    def _publish(self, info: ManifestInfo) -> Tally:
        """The data set and its card; rows labelled, discarded, errors and not asked make up those that came in."""
        self._parts.publish()
        counted = tally(self._parts, self._settings.scale)
        if counted.fates.total() > info.items:
            raise RuntimeError(f"{info.items} rows came in and {counted.fates.total()} are in {self._out}/parts")
        prompt = prompt_of(self._settings).system if self._source.prompt else ""
        prices = prices_of(self._settings)
        write_card(self._out / "README.md", self._settings, self._source, prompt, counted, info.items, prices)
        shutil.rmtree(self._out / SPOOL, ignore_errors=True)
        return counted
