"""Jobs over whole archives: posters, texts, a long film, growing memory, added cores, added nodes, killed processes.

    python benchmarks/archive.py [--share 0.05] [--only posters,texts]

Each row is a ratio within one run. The whole table takes half an hour; it goes to `benchmarks/results/archive.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from archive_film import film_rows
from archive_jobs import Scale
from archive_memory import memory_rows
from archive_nodes import node_rows
from archive_posters import poster_rows
from archive_texts import text_rows
from harness import Row, write_rows

PARTS: dict[str, Callable[[Scale], Iterable[Row]]] = {
    "posters": poster_rows,
    "texts": text_rows,
    "film": film_rows,
    "memory": memory_rows,
    "nodes": node_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the full sizes")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts of the table: {', '.join(PARTS)}")
    parser.add_argument("--name", default="archive", help="of the file in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_rows(options.name, all_rows(options.only.split(","), Scale(options.share, Path(folder))))


def all_rows(parts: Iterable[str], scale: Scale) -> Iterator[Row]:
    for part in parts:
        print(f"   {part}", flush=True)
        yield from PARTS[part](scale)


if __name__ == "__main__":
    main()
