"""A picture's bytes to upright RGB frames: Pillow, shrunk before it is converted.

A picture that does not decode to its end is an error: half of it says nothing about the
other half. The frames of an animation that decoded before it broke are kept as evidence.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.schema import Failure, Frame, Outcome

Image.init()  # registers every plug-in; `formats=` knows only registered ones

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "JPEG2000", "ICO", "PPM")
"""What may be opened: never EPS, PDF or WMF, which start other programs. JPEG covers MPO."""
PAGED = frozenset({"GIF", "PNG", "WEBP", "AVIF", "TIFF"})
"""Formats whose further frames or pages a viewer shows; those of an MPO or ICO repeat the first."""

ASPECT = 4
"""A frame's longer side is at most so many times the shorter; a longer strip (a webtoon) is cut in pieces."""
PIECES = 8
"""Most pieces of one strip; a still longer one is shrunk further."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns the stored picture upright (EXIF 2.3, tag 0x0112)."""

BACKGROUNDS = ("white", "black")
"""A translucent picture is seen on both: what is white on nothing shows on black, and the other way round."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What could be seen of a picture."""

    frames: tuple[Frame, ...]
    failure: Failure | None = None
    """Why the rest of an animation could not be seen."""


def read_picture(data: bytes, side: int, pixels: int, frames: int, looked_through: int) -> Picture:
    """Frames of a picture, each with a shorter side of at most `side` pixels.

    Args:
        pixels: width × height that any frame may declare.
        frames: how many to take of an animation, spread over it, the last included.
        looked_through: how many frames of an animation are stepped through for that.

    Raises:
        UndecodableError: not a picture, over a limit, or broken before the first frame.
    """
    Image.MAX_IMAGE_PIXELS = pixels  # Pillow's own check also sees frames and pictures inside pictures
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = _open(data)
        seen: list[Frame] = []
        try:
            count = getattr(picture, "n_frames", 1) if picture.format in PAGED else 1
            for index in _spread(min(count, looked_through), frames):
                picture.seek(index)
                _check_size(picture, pixels)
                # Shrinking is in place; an animation needs its canvas for the frames to come.
                seen += _frames(picture.copy() if count > 1 else picture, index, side)
        except Exception as error:  # Pillow's plug-ins raise anything on hostile bytes, even struct.error
            failure = _failure(error)
            if not seen:
                raise UndecodableError(failure.reason) from error
            return Picture(tuple(seen), failure)
    if count > looked_through:
        reason = f"animation of {count:,} frames, over the limit of {looked_through:,}"
        return Picture(tuple(seen), Failure(Outcome.ERROR, reason))
    return Picture(tuple(seen))


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UndecodableError("not a picture, though it begins like one") from error
    except Exception as error:
        raise UndecodableError(_failure(error).reason) from error


def _check_size(picture: Image.Image, pixels: int) -> None:
    if picture.width * picture.height > pixels:
        raise UndecodableError(f"declares {picture.width:,} × {picture.height:,} pixels, over the limit of {pixels:,}")


def _failure(error: Exception) -> Failure:
    if isinstance(error, UndecodableError):
        return error.failure
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Failure(Outcome.ERROR, f"declares more pixels than the limit of {Image.MAX_IMAGE_PIXELS:,}")
    if isinstance(error, MemoryError):
        return Failure(Outcome.ERROR, "out of memory")
    return Failure(Outcome.ERROR, f"broken picture: {error or type(error).__name__}")


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the indices 0 … count-1, evenly spread, first and last included."""
    return sorted({round(position) for position in np.linspace(0, count - 1, min(count, wanted)).tolist()})


def _frames(picture: Image.Image, index: int, side: int) -> list[Frame]:
    """The one picture as frames: usually one, more of a translucent or a very long one."""
    # Shown when, if all frames last as long as this one: stepping through just to add them up would cost more.
    seconds = index * float(picture.info.get("duration", 0)) / 1000
    shrunk = _shrink(_resizable(picture), side)
    turn = TURNS.get(_orientation(picture))  # asked once it is loaded: Pillow turns a TIFF itself and clears the tag
    upright = shrunk if turn is None else shrunk.transpose(turn)
    return [Frame(_pixels(piece), seconds) for view in _opaque(upright) for piece in _pieces(view)]


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # broken EXIF does not make a broken picture
        return 1


def _resizable(picture: Image.Image) -> Image.Image:
    """In a mode that resamples well: palettes and 16-bit greys do not."""
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture)
    if picture.mode in {"P", "PA"}:
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture.convert("L") if picture.mode == "1" else picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey as viewers show it; 32-bit and real values from their least to their greatest."""
    values = np.asarray(picture).astype(np.float32)
    low, high = (0.0, 65535.0) if picture.mode.startswith("I;16") else (float(values.min()), float(values.max()))
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-6))).clip(0, 255).astype(np.uint8))


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    shorter, longer = sorted(picture.size)
    scale = min(1.0, side / shorter, side * ASPECT * PIECES / longer)
    box = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # In place; a JPEG is decoded at the next larger eighth, the rest reduced by whole boxes first.
    picture.thumbnail(box, Image.Resampling.BICUBIC, reducing_gap=2.0)
    picture.load()
    return picture


def _opaque(picture: Image.Image) -> list[Image.Image]:
    """The picture in RGB; on each of the backgrounds if one shines through."""
    if not picture.has_transparency_data:
        return [picture.convert("RGB")]
    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:
        return [picture.convert("RGB")]
    grounds = [Image.new("RGBA", picture.size, colour) for colour in BACKGROUNDS]
    return [Image.alpha_composite(ground, picture).convert("RGB") for ground in grounds]


def _pieces(picture: Image.Image) -> Iterator[Image.Image]:
    shorter, longer = sorted(picture.size)
    count = min(PIECES, -(-longer // (shorter * ASPECT)))
    for start, end in ((longer * i // count, longer * (i + 1) // count) for i in range(count)):
        wide = picture.width == longer
        yield picture.crop((start, 0, end, picture.height) if wide else (0, start, picture.width, end))


def _pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(picture, dtype=np.uint8)
