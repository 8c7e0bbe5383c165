"""Puts finished weights among those that the package ships: file, card and checksum."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from capitoline.modalities.weights import SHIPPED, read_metadata, sha256


def ship(weights: Path, folder: Path = SHIPPED) -> Path:
    """Copy a weight file and the card beside it into `folder`, and note the file's sha256 there.

    Raises:
        ValueError: no weights that `capitoline train` wrote, or no card beside them.
    """
    read_metadata(weights)
    card = weights.with_suffix(".md")
    if not card.is_file():
        raise ValueError(f"no card beside {weights}: weights are not shipped without saying what they learned from")
    folder.mkdir(parents=True, exist_ok=True)
    shipped = folder / weights.name
    for path in (weights, card):
        shutil.copyfile(path, folder / path.name)
    register = folder / "checksums.json"
    checksums = json.loads(register.read_text(encoding="utf-8")) if register.is_file() else {}
    checksums[shipped.name] = sha256(shipped)
    register.write_text(json.dumps(checksums, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return shipped
