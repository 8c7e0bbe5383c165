"""Small files that declare, or unpack to, or ask for far too much."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from zipfile import ZIP_DEFLATED, ZipFile

from tests.decoding.making import film, many_scans, saved, scenery, shades, tone
from tests.hostile.fields import checked_png

SIDE = 60_000


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def enormous() -> Mapping[str, bytes]:
    """Pictures of 60,000 × 60,000 pixels, or as many as the format can say, in a few bytes."""
    header = struct.pack(">2L5B", SIDE, SIDE, 8, 0, 0, 0, 0)
    jpeg = bytearray(saved(scenery(16, 16), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">2H", SIDE, SIDE)
    jp2 = saved(scenery(32, 32), "JPEG2000")
    return {
        "a.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9_000))),
        "a.jpg": bytes(jpeg),
        "a.gif": b"GIF89a" + struct.pack("<2H", 0xFFFF, 0xFFFF) + saved(scenery(16, 16), "GIF")[10:],
        "a.bmp": b"BM" + struct.pack("<4x4xL", 54) + struct.pack("<3L2HL24x", 40, SIDE, SIDE, 1, 24, 0) + bytes(99),
        "a.tif": tiff(SIDE, SIDE),
        "a.webp": webp(16_384, 16_384),
        "a.jp2": jp2.replace(struct.pack(">2L", 32, 32), struct.pack(">2L", SIDE, SIDE)),
        "a.ppm": b"P6\n%d %d\n255\n" % (SIDE, SIDE) + bytes(99),
        "a.ico": ico(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")),
    }


def tiff(width: int, height: int) -> bytes:
    entries = (
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 200),
        (277, 1),
        (278, height),
        (279, 99),
    )
    directory = b"".join(struct.pack("<2H2L", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + directory + struct.pack("<L", 0) + bytes(300)


def webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<L", 10) + b"\x10\0\0\0" + canvas + saved(scenery(16, 16), "WEBP")[12:]
    return b"RIFF" + struct.pack("<L", len(body)) + body


def ico(png: bytes) -> bytes:
    return struct.pack("<3H", 0, 1, 1) + struct.pack("<4B2H2L", 0, 0, 0, 0, 1, 32, len(png), 22) + png


def many_frames(count: int) -> Mapping[str, bytes]:
    """Animations of very many frames; a PNG that only says so."""
    gif = saved(scenery(16, 16), "GIF")
    start = gif.index(b"\x2c\0\0\0\0")
    shown = scenery(32, 32)
    png = saved(shown, "PNG", save_all=True, append_images=[shown.rotate(90)], duration=50)
    at = png.index(b"acTL")
    return {
        "many.gif": gif[:start] + gif[start:-1] * count + b";",
        "claims.png": checked_png(png[: at + 4] + struct.pack(">L", 0x7FFFFFFF) + png[at + 8 :]),
    }


def endless() -> Mapping[str, bytes]:
    """Films and sounds that last for years by what their headers say."""
    mp4 = film(shades(20), container="mp4")
    flac = film(sound=tone(0.5), container="flac")
    wav = film(sound=tone(0.5), container="wav", sound_codec="pcm_s16le")
    header = mp4.index(b"mvhd")
    media = mp4.index(b"mdhd")
    long = mp4[: header + 20] + b"\x7f\xff\xff\xff" + mp4[header + 24 :]
    slow = bytearray(long[: media + 16] + struct.pack(">2L", 1, 0x7FFFFFFF) + long[media + 24 :])
    at = flac.index(b"fLaC") + 8 + 10  # the rate's 20 bits stand first in these 8 bytes, the samples' 36 last
    rate = int.from_bytes(flac[at : at + 8], "big") & ~(0xFFFFF << 44) & ~0xFFFFFFFFF
    return {
        "long.mp4": long,
        "slow.mp4": bytes(slow),
        "one-hertz.wav": wav[:24] + struct.pack("<2L", 1, 2) + wav[32:],
        "fast.wav": wav[:24] + struct.pack("<2L", 0xFFFFFFFF, 0xFFFFFFFF) + wav[32:],
        "one-hertz.flac": flac[:at] + (rate | 1 << 44 | 0xFFFFFFFFF).to_bytes(8, "big") + flac[at + 8 :],
    }


def slow() -> bytes:
    """Half a megabyte that takes a minute."""
    return many_scans(1_000)


def nested(depth: int) -> bytes:
    """A zip in a zip in a zip …"""
    inner = b"a text"
    for level in range(depth):
        stream = io.BytesIO()
        with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
            archive.writestr("a.txt" if level == 0 else "a.zip", inner)
        inner = stream.getvalue()
    return inner


def members(count: int) -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.txt", b"")
    return stream.getvalue()


def zeros(size: int) -> bytes:
    """A tar of one member of zeros, to be compressed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("zeros.txt")
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))
    return stream.getvalue()
