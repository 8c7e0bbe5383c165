"""One job: scan, rate, commit, sum up. A killed job continues where its committed shards end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Item
from capitoline.pipelines.alterations import altered
from capitoline.pipelines.assembly import (
    build_decider,
    build_shadow,
    checked_digests,
    decode_limits,
    job_graph,
    sampling,
    scan_limits,
)
from capitoline.pipelines.batches import Assembler, micro_batches
from capitoline.pipelines.fingerprint import (
    RUN_FILE,
    Fingerprint,
    differences,
    fingerprint,
    read_fingerprint,
    refuse_other_command,
)
from capitoline.pipelines.graph import Batch, Graph
from capitoline.pipelines.lock import Lock, locked
from capitoline.pipelines.manifest import Manifest, ManifestInfo, changed_items, write_manifest
from capitoline.pipelines.process import ProcessRunner, Runner
from capitoline.pipelines.records import Record, culprit, timed
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.scan import scan
from capitoline.pipelines.stamps import Stamps
from capitoline.pipelines.store import Store

MANIFEST = "manifest.parquet"
CHANGES_SHOWN = 5
SPOOL = "spool"
"""Where compressed tars are unpacked while the job runs, because shards need random access."""

logger = logging.getLogger("capitoline")

Progress = Callable[[int, int], None]
"""Called with the items done and the items in all, after the scan and after every micro-batch."""


def silent(done: int, total: int) -> None:
    """Shows no progress."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is rated, and into which folder."""

    paths: tuple[str, ...]
    """Files, folders, archives, manifests; local paths or fsspec URLs."""
    out: Path
    columns: Columns = field(default_factory=Columns)
    """What the columns of a manifest mean."""
    media: str = ""
    """A folder or archive in which a manifest's media lie; beside the manifest if empty."""
    allow_outside: bool = False
    """Whether a manifest may name files outside its folder, and URLs."""
    address: str = ""
    """Of a Ray cluster; empty for this machine."""
    retry_errors: bool = False
    """Rate the failed items again."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run of a job did."""

    items: int
    """In all."""
    rated_now: int
    """By this run; the rest had been committed before."""


class Job:
    """A request being carried out in its output folder.

    Raises:
        ValueError: something the user asked for cannot be done; nothing has been rated by then.
        OSError: the output folder cannot be written (a full disk) or was removed; what is committed stays.
    """

    def __init__(self, request: Request, settings: Settings, progress: Progress = silent) -> None:
        self._request, self._settings, self._progress = request, settings, progress
        self._store = Store(request.out)
        self._assembler = Assembler()
        self._stamps = Stamps()

    def run(self) -> Finished:
        """Rates what is not committed yet."""
        out, items = self._request.out, self._items()
        weights = checked_digests(self._settings)
        # What the user got wrong has been said by now; only from here on is there a folder.
        with locked(out) as lock:
            self._store.prepare()
            info = self._scan(items, weights)
            self._refuse_altered(Manifest(out / MANIFEST))
            rated_now = self._rate(Manifest(out / MANIFEST), info, lock)
            self._account(info)
        return Finished(info.items, rated_now)

    def _scan(self, items: Iterator[Item], weights: Mapping[str, str]) -> ManifestInfo:
        """Writes the manifest and claims the folder. A resumed job scans again: its input may have changed."""
        out, running = self._request.out, self._settings.running
        fresh = out / f"new-{MANIFEST}"
        try:
            info = write_manifest(items, fresh, running.shard_items, running.shard_bytes)
            if not info.items:
                raise ValueError(f"nothing to rate in {', '.join(self._request.paths)}")
            new = fingerprint(self._settings, info.digest, info.items, info.shards, weights)
            claim(out, new, lambda: changed_items(out / MANIFEST, fresh, CHANGES_SHOWN))
            fresh.replace(out / MANIFEST)
        finally:
            fresh.unlink(missing_ok=True)
        return info

    def _refuse_altered(self, manifest: Manifest) -> None:
        """Raises ValueError if files that were rated in an earlier run have another content by now."""
        if not self._store.committed():
            return
        from capitoline.modalities.decoding.decode import Decoder

        out, settings = self._request.out, self._settings
        reader = Decoder(decode_limits(settings.limits), sampling(settings.decoding))
        began = (out / RUN_FILE).stat().st_mtime_ns
        found = altered(self._store, manifest, began, out / SPOOL, lambda item: reader.digest(item).digest)
        if changed := list(islice(found, CHANGES_SHOWN)):
            raise ValueError(
                f"{out} holds ratings of files that were changed since, to the same size: {', '.join(changed)} …. "
                "Put them back to continue, or choose another --out to rate them as they are"
            )

    def _items(self) -> Iterator[Item]:
        request = self._request
        return scan(
            request.paths,
            scan_limits(self._settings.limits),
            request.out / SPOOL,
            columns=request.columns,
            media_root=request.media or None,
            allow_outside=request.allow_outside,
            opening=self._stamps.take,
        )

    def _rate(self, manifest: Manifest, info: ManifestInfo, lock: Lock) -> int:
        waiting = self._waiting(manifest)
        done = info.items - waiting
        self._progress(done, info.items)
        if not waiting:
            return 0
        runner = runner_for(job_graph(self._settings), self._settings, waiting, self._request.address)
        lost = _culprit(self._settings)
        for batch, result in runner.run(self._batches(manifest)):
            trusted = self._stamps.trusted(timed(result.values, result.seconds), lost)
            records = self._assembler.add(batch.shard, trusted)
            if records is not None:
                self._store.commit(batch.shard, records, lock.check)
            done += len(batch.items)
            self._progress(done, info.items)
        return waiting

    def _waiting(self, manifest: Manifest) -> int:
        """Items that `_pending` will give, counted without reading them."""
        committed = self._store.committed()
        fresh = sum(manifest.count(shard) for shard in range(len(manifest)) if shard not in committed)
        return fresh + sum(len(self._store.failed(shard)) for shard in committed if self._request.retry_errors)

    def _pending(self, manifest: Manifest) -> Iterator[tuple[int, list[Item]]]:
        """Shards with the items of theirs that are to be rated."""
        committed = self._store.committed()
        for shard in range(len(manifest)):
            if shard not in committed:
                yield shard, manifest.shard(shard)
            elif self._request.retry_errors and (failed := self._store.failed(shard)):
                yield shard, [item for item in manifest.shard(shard) if item.id in failed]

    def _batches(self, manifest: Manifest) -> Iterator[Batch]:
        running = self._settings.running
        for shard, items in self._pending(manifest):
            self._assembler.expect(shard, items)
            yield from micro_batches(shard, items, running.batch_items, running.batch_bytes)

    def _account(self, info: ManifestInfo) -> None:
        """Rated and unrated must make up the items that came in."""
        rows = self._store.count()
        if rows != info.items:
            raise RuntimeError(f"{info.items} items came in and {rows} are in {self._request.out}/ratings")


def runner_for(graph: Graph, settings: Settings, waiting: int, address: str = "") -> Runner:
    """What runs `graph` over `waiting` items: this process for a few, else Ray, on the cluster at `address`."""
    running, limits = settings.running, settings.limits
    in_process = running.where == "process" or (running.where == "auto" and waiting < running.process_items)
    if in_process and not address:
        return ProcessRunner(graph)
    from capitoline.pipelines.cluster import ClusterRunner, start_ray
    from capitoline.pipelines.placement import place

    owned = start_ray(address)
    placement = place(graph, running.placement, running.lanes)
    window = running.window or sum(pool.size for pool in placement.pools) + 2
    return ClusterRunner(
        placement,
        window,
        deadline=lambda items: limits.item_seconds + limits.expert_seconds + 10.0 * items,
        culprit=_culprit(settings),
        owned=owned,
    )


def _culprit(settings: Settings) -> Callable[[Item, str], Record]:
    """Makes the record of an item that must not be rated, for a reason."""
    return partial(culprit, build_decider(settings), shadow=build_shadow(settings))


def claim(out: Path, new: Fingerprint, changed: Callable[[], list[str]]) -> None:
    """Starts a job in `out`, or continues the same one. `changed` finds ids of items that differ.

    Raises:
        ValueError: `out` holds another job; the message says what differs.
    """
    old = read_fingerprint(out)
    if old is None:
        new.write(out)
        return
    refuse_other_command(out, old, new)
    if lines := differences(old, new):
        if old.manifest != new.manifest:
            lines.append(f"items that are new, gone or of another size: {', '.join(changed())} …")
        raise ValueError(
            f"{out} holds another job. Give it the same input and configuration to continue it, "
            "or choose another --out. What differs:\n  " + "\n  ".join(lines)
        )
