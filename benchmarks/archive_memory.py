"""Peak memory of the driver and of each actor as the archive grows a hundredfold: short texts with tags."""

from __future__ import annotations

from collections.abc import Iterator

from archive_jobs import CORES, Scale, rate, texts
from harness import Row
from processes import DRIVER

FEW, MANY = 1_000, 100_000
LONGEST = 80
"""Characters of a text: short ones, so that a hundred thousand end in minutes."""


def memory_rows(scale: Scale) -> Iterator[Row]:
    counts = FEW, max(2 * FEW, scale.of(MANY))
    few, many = (
        rate(texts(count, scale.folder, LONGEST, tags=True), scale.folder / f"memory-{count}", CORES)
        for count in counts
    )
    for role in (DRIVER, "actor", "decoder"):
        peaks = many.peak_of_role[role], few.peak_of_role[role]
        work = f"peak bytes of {'the' if role == DRIVER else 'any'} {role}, {counts[1]:,} items"
        yield Row(work, f"{counts[0]:,} items", *peaks, "<= 1.05", "resident set, the kernel's high-water mark")
