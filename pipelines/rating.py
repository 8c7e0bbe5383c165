"""`rate`: a job from its input to its report, for Python and for the command line."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capitoline.configs.settings import Settings
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import File, Item
from capitoline.pipelines.assembly import build_decoder
from capitoline.pipelines.job import SPOOL, Job, Progress, Request, silent
from capitoline.pipelines.report.page import Thumbnail, write_report
from capitoline.pipelines.report.summary import Summary, write_summary
from capitoline.pipelines.report.tally import summarize
from capitoline.pipelines.store import read_ratings

THUMBNAIL = 160
"""Pixels of a thumbnail's longer side in the report."""


def rate(
    paths: str | Sequence[str],
    out: str | Path,
    settings: Settings | None = None,
    *,
    progress: Progress = silent,
    jsonl: bool = False,
) -> Summary:
    """Rates every item in `paths` and writes ratings, evidence and a report into the folder `out`.

    The same call again continues an interrupted job. For manifests with columns of their own,
    a cluster, or a retry of errors, build a `capitoline.pipelines.job.Request` and call
    `rate_request`.

    Args:
        paths: files, folders, archives or manifests; local paths or fsspec URLs.
        progress: called with (items done, items in all) after every micro-batch.
        jsonl: also write `ratings.jsonl`.

    Raises:
        ValueError: nothing to rate, unfit settings, or `out` holds another job; nothing was rated.
        OSError: the output folder cannot be written (a full disk); call again to continue.
    """
    named = (paths,) if isinstance(paths, str) else tuple(paths)
    return rate_request(Request(paths=named, out=Path(out)), settings or Settings(), progress, jsonl)


def rate_request(request: Request, settings: Settings, progress: Progress = silent, jsonl: bool = False) -> Summary:
    """Carries out `request`; raises as `rate` does."""
    started = time.monotonic()
    finished = Job(request, settings, progress).run()
    seconds = time.monotonic() - started
    summary = report_on(request.out, settings, seconds, finished.rated_now)
    if jsonl:
        _write_jsonl(request.out)
    return summary


def report_on(out: Path, settings: Settings, seconds: float, rated_now: int) -> Summary:
    """Sums up what is committed in `out`, writes `summary.json` and `report.html`, and removes the spool.

    `seconds` and `rated_now` are of the run that ends here.
    """
    summary = summarize(out, settings.scale, seconds, rated_now / seconds)
    write_summary(out, summary)
    with _thumbnails(settings) as thumbnail:
        write_report(out, summary, thumbnail)
    shutil.rmtree(out / SPOOL, ignore_errors=True)  # the thumbnails were its last readers
    return summary


@contextmanager
def _thumbnails(settings: Settings) -> Iterator[Thumbnail]:
    """Decodes contested items once more, in the guarded decoder, since the job kept no pixels."""
    decoder = build_decoder(settings)

    def thumbnail(item_id: str, files: Sequence[File]) -> bytes | None:
        if not files:
            return None
        (decoded,) = decoder([Item(item_id, files=tuple(files))])
        frames = decoded.pictures or decoded.film
        return _jpeg(frames[len(frames) // 2].pixels) if frames else None

    try:
        yield thumbnail
    finally:
        decoder.close()


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=70)
    return stream.getvalue()


def _write_jsonl(out: Path) -> None:
    """`ratings.jsonl`: the ratings table, an object a line, in the same order."""

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for table in read_ratings(out):
                file.writelines(
                    json.dumps(_plain(row, table.schema), ensure_ascii=False) + "\n" for row in table.to_pylist()
                )

    write_atomically(out / "ratings.jsonl", write)


def _plain(row: dict[str, object], schema: pa.Schema) -> dict[str, object]:
    """A row with its maps, which Arrow gives as pairs, as objects."""
    maps = {column.name for column in schema if pa.types.is_map(column.type)}
    return {name: dict(value) if name in maps else value for name, value in row.items()}  # type: ignore[call-overload]
