"""Whether what a job has rated is still what lies there.

A manifest knows sizes, and a file can be written anew at the same size. What the file system says
was touched since the job began is therefore read and digested once more: a `touch`, a copy put
back or an archive moved costs that reading, and nothing is rated again. Objects in a store are not
looked at, since each would cost a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from capitoline.modalities.schema import Item
from capitoline.pipelines.manifest import Manifest
from capitoline.pipelines.store import Store

SOURCES_KNOWN = 1_024
"""Files and archives of which the times are remembered, so that an archive is not asked once a member."""


def altered(store: Store, manifest: Manifest, since: int, spool: Path, digest: Callable[[Item], str]) -> Iterator[str]:
    """Ids of committed items of which the content is not what was rated.

    What failed is left out: it may have been mended, and `--retry-errors` rates it again.

    Args:
        since: nanoseconds, when the job began.
        spool: where compressed tars are unpacked, under names that hold their version.
        digest: of an item's content, as its rating has it.
    """

    @lru_cache(SOURCES_KNOWN)
    def touched(source: str) -> bool:
        spooled = Path(source).absolute().is_relative_to(spool.absolute())
        return "://" not in source and not spooled and _last_touched(source) >= since

    for shard in sorted(store.committed()):
        suspects = [item for item in manifest.shard(shard) if any(touched(file.source) for file in item.files)]
        rated = _digests(store, shard) if suspects else {}
        yield from (item.id for item in suspects if item.id in rated and digest(item) != rated[item.id])


def _last_touched(path: str) -> int:
    """Nanoseconds. The time of the inode too: a copy that keeps its times, or a rename, changes nothing else."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0
    return max(found.st_mtime_ns, found.st_ctime_ns)


def _digests(store: Store, shard: int) -> dict[str, str]:
    """By id, of the items of a shard that did not fail."""
    rows = pq.read_table(store.part("ratings", shard), columns=["item_id", "digest", "failed"]).to_pylist()
    return {row["item_id"]: row["digest"] for row in rows if not row["failed"]}
