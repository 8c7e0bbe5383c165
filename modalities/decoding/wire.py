"""Decoded items between processes: a JSON header, then the bytes of the arrays.

The process at the other end has decoded hostile bytes, so nothing that it sends may be
able to run code, as a pickle could, or to ask for more memory than its limit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import Decoded, Failure, File, Frame, Item, Modality, Outcome, Storage

READY = b"\n"
"""The decoder's first answer, once it has its limits."""
LENGTH_BYTES = 4
MAXIMUM_HEADER = 64 << 20
MAXIMUM_ARRAYS = 2 << 30

Read = Callable[[int], bytes | bytearray]
"""Exactly so many bytes from the other end; raises if it cannot."""


def dump_limits(limits: DecodeLimits, sampling: Sampling) -> bytes:
    """The first line to a decoder's process."""
    return json.dumps([asdict(limits), asdict(sampling)]).encode() + b"\n"


def load_limits(line: bytes) -> tuple[DecodeLimits, Sampling]:
    limits, sampling = json.loads(line)
    return DecodeLimits(**limits), Sampling(**sampling)


def dump_items(items: Sequence[Item], digest_only: bool = False) -> bytes:
    """A request as one line of JSON: to decode the items, or only to digest them."""
    return json.dumps([digest_only, [asdict(item) for item in items]]).encode() + b"\n"


def load_items(line: bytes) -> tuple[list[Item], bool]:
    digest_only, items = json.loads(line)
    return [_item(**fields) for fields in items], bool(digest_only)


def dump_decoded(decoded: Decoded, seconds: float) -> Iterator[bytes | memoryview]:
    """The chunks of a message: length of the header, header, arrays in its order. The item stays behind."""
    frames = (*decoded.pictures, *decoded.film)
    header = {
        "digest": decoded.digest,
        "text": decoded.text,
        "duration": decoded.duration,
        "failures": {str(modality): _plain(failure) for modality, failure in decoded.failures.items()},
        "unreadable": [_plain(failure) for failure in decoded.unreadable],
        "notes": decoded.notes,
        "pictures": [[frame.pixels.shape, frame.seconds] for frame in decoded.pictures],
        "film": [[frame.pixels.shape, frame.seconds] for frame in decoded.film],
        "sound": None if decoded.sound is None else decoded.sound.size,
        "seconds": seconds,
    }
    encoded = json.dumps(header).encode()
    yield len(encoded).to_bytes(LENGTH_BYTES, "little")
    yield encoded
    for array in (*(frame.pixels for frame in frames), *(() if decoded.sound is None else (decoded.sound,))):
        yield np.ascontiguousarray(array).data.cast("B")


def load_decoded(item: Item, read: Read) -> tuple[Decoded, float]:
    """The decoded `item`, and the CPU seconds that decoding it took.

    Raises:
        ValueError: the message is larger than allowed or makes no sense.
    """
    length = int.from_bytes(read(LENGTH_BYTES), "little")
    if length > MAXIMUM_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    header: dict[str, Any] = json.loads(bytes(read(length)))
    _check_sizes(header)
    decoded = Decoded(
        item=item,
        digest=str(header["digest"]),
        text=header["text"],
        tags=item.tags,
        pictures=tuple(_frame(shape, seconds, read) for shape, seconds in header["pictures"]),
        film=tuple(_frame(shape, seconds, read) for shape, seconds in header["film"]),
        sound=None if header["sound"] is None else np.frombuffer(read(2 * header["sound"]), dtype=np.int16),
        duration=header["duration"],
        failures={Modality(name): _failure(*plain) for name, plain in header["failures"].items()},
        unreadable=tuple(_failure(*plain) for plain in header["unreadable"]),
        notes=tuple(map(str, header["notes"])),
    )
    return decoded, float(header["seconds"])


def _check_sizes(header: dict[str, Any]) -> None:
    shapes = [shape for shape, _ in (*header["pictures"], *header["film"])]
    sizes = [*(math.prod(shape) for shape in shapes), 2 * (header["sound"] or 0)]
    if any(len(shape) != 3 or min(shape) < 1 for shape in shapes) or min(sizes) < 0 or sum(sizes) > MAXIMUM_ARRAYS:
        raise ValueError("arrays of impossible sizes")


def _frame(shape: list[int], seconds: float, read: Read) -> Frame:
    pixels: npt.NDArray[np.uint8] = np.frombuffer(read(math.prod(shape)), dtype=np.uint8)
    return Frame(pixels.reshape(shape), float(seconds))


def _plain(failure: Failure) -> tuple[str, str]:
    return failure.outcome, failure.reason


def _failure(outcome: str, reason: str) -> Failure:
    return Failure(Outcome(outcome), str(reason))


def _item(files: list[dict[str, Any]], tags: list[str] | None, **rest: Any) -> Item:
    members = tuple(File(**{**fields, "storage": Storage(fields["storage"])}) for fields in files)
    return Item(files=members, tags=None if tags is None else tuple(tags), **rest)
