"""Texts, pictures and films in disguise: what a person still recognises and a network may not."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import av
from PIL import Image, ImageOps

LOOK_ALIKES = str.maketrans("aeopcxyisjABEHKMOPTX", "аеорсхуіѕјАВЕНКМОРТХ")
FIGURES = str.maketrans("oieast", "013457")
TURN, UPSIDE_DOWN = 6, 3
"""EXIF orientations: to be turned by 90 and by 180 degrees."""


def figures(text: str) -> str:
    """In every word of three letters and more, half of the letters that have a figure become it."""
    draw = random.Random(0)
    words = (
        "".join(one.translate(FIGURES) if 0 < place < len(word) - 1 and draw.random() < 0.5 else one
                for place, one in enumerate(word)) if len(word) > 2 else word
        for word in text.split(" ")
    )  # fmt: skip
    return " ".join(words)


TEXTS: dict[str, Callable[[str], str]] = {
    "figures for letters": figures,
    "zero-width": "\u200b".join,
    "right-to-left marks": lambda text: text.replace("e", "\u202ee\u202c"),
    "homoglyphs": lambda text: text.translate(LOOK_ALIKES),
    "spaced letters": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "dotted letters": lambda text: " ".join(".".join(word) for word in text.split()),
    "fullwidth": lambda text: "".join(chr(ord(one) + 0xFEE0) if "!" < one <= "~" else one for one in text),
    "small capitals": lambda text: text.translate(str.maketrans("abcdeghijklmnoprtuvwz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡᴢ")),
    "piled marks": lambda text: "".join(one + "\u0336\u0321\u030d" if one.isalpha() else one for one in text),
}

Disguise = Callable[[Image.Image], bytes]


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def cropped(picture: Image.Image) -> bytes:
    """Less a tenth at each edge."""
    width, height = picture.size
    return encoded(picture.crop((width // 10, height // 10, width - width // 10, height - height // 10)))


def grid(picture: Image.Image, other: Image.Image) -> bytes:
    """The picture among three of another."""
    sheet = Image.new("RGB", (2 * picture.width, 2 * picture.height))
    for place in range(4):
        sheet.paste(
            other.resize(picture.size) if place else picture, (place % 2 * picture.width, place // 2 * picture.height)
        )
    return encoded(sheet)


def see_through(picture: Image.Image, ground: int) -> bytes:
    """Grey levels as opacity, on black or white letters: the picture shows on the other ground only."""
    layer = Image.new("RGB", picture.size, (ground, ground, ground))
    grey = picture.convert("L")
    layer.putalpha(grey if ground else ImageOps.invert(grey))
    return encoded(layer)


def last_frame(picture: Image.Image) -> bytes:
    """A GIF of thirty frames, of which only the last shows the picture."""
    blank = Image.new("RGB", picture.size, (200, 220, 200))
    shades = [Image.new("RGB", picture.size, (200, 220, 200 + one)) for one in range(29)]
    return encoded(blank, "GIF", save_all=True, append_images=[*shades, picture], duration=100)


def turned(picture: Image.Image, orientation: int) -> bytes:
    """Lying on its side in the file; the header tells viewers to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = picture.rotate(90 if orientation == TURN else 180, expand=True)
    return encoded(lying, "JPEG", quality=95, exif=exif)


def pictures(other: Image.Image) -> dict[str, Disguise]:
    """Every disguise of a picture; `other` is the harmless one that it hides among."""
    return {
        "border of 3 pixels": lambda one: encoded(ImageOps.expand(one, 3, "white")),
        "wide border": lambda one: encoded(ImageOps.expand(one, one.width // 4, "black")),
        "JPEG 30": lambda one: encoded(one, "JPEG", quality=30),
        "half size": lambda one: encoded(one.resize((one.width // 2, one.height // 2))),
        "cropped": cropped,
        "mirrored": lambda one: encoded(ImageOps.mirror(one)),
        "in a grid of four": lambda one: grid(one, other),
        "opacity on black": lambda one: see_through(one, 255),
        "opacity on white": lambda one: see_through(one, 0),
        "last frame of a GIF": last_frame,
        "EXIF turn": lambda one: turned(one, TURN),
        "EXIF upside down": lambda one: turned(one, UPSIDE_DOWN),
    }


def write_film(path: Path, shots: Sequence[tuple[Image.Image, int]], rate: int = 8) -> None:
    """A film of shots, each a picture and the number of frames it stays."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for picture, frames in shots:
            frame = av.VideoFrame.from_image(picture.resize((320, 240)))
            for _ in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)))
        container.mux(stream.encode())
