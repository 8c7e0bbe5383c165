"""Real media made on the spot: pictures by Pillow, films and sounds by FFmpeg."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image

RATE = 10
"""Frames a second of the films made here."""


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow makes of a picture."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def scenery(width: int, height: int) -> Image.Image:
    """A picture with structure at every scale, the same each time."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def many_scans(count: int) -> bytes:
    """A small JPEG of many pixels whose last scan comes again and again: 50 ms of work for each 114 bytes."""
    whole = saved(Image.new("L", (7_900, 7_900), 90), "JPEG", progressive=True)
    scan, end = whole[whole.rindex(b"\xff\xc4") : -2], whole[-2:]
    return whole[:-2] + scan * count + end


def shades(count: int) -> list[npt.NDArray[np.uint8]]:
    """Film frames, each of a grey that tells its number: 10, 13, 16 …"""
    return [np.full((64, 96, 3), 10 + 3 * number, np.uint8) for number in range(count)]


def tone(seconds: float, hertz: float = 440.0, rate: int = 44_100) -> npt.NDArray[np.int16]:
    times = np.arange(int(seconds * rate)) / rate
    return (8_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def film(
    frames: Sequence[npt.NDArray[np.uint8]] = (),
    sound: npt.NDArray[np.int16] | None = None,
    container: str = "matroska",
    codec: str = "libx264",
    sound_codec: str = "flac",
    key_every: int = 12,
    lost: bool = False,
    options: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """A film of the frames and of mono sound at 44.1 kHz, either of which may be missing.

    Args:
        lost: the frames are announced and left out.
        options: of the container.
    """
    stream = io.BytesIO()
    with av.open(stream, "w", format=container, options=dict(options)) as output:
        pictures = _video(output, frames, codec, key_every) if frames else None
        track = (
            cast(AudioStream, output.add_stream(sound_codec, rate=44_100, layout="mono")) if sound is not None else None
        )
        if pictures is not None and not lost:
            _mux_frames(output, pictures, frames)
        if track is not None and sound is not None:
            _mux_sound(output, track, sound)
    return stream.getvalue()


def _video(output: Any, frames: Sequence[npt.NDArray[np.uint8]], codec: str, key_every: int) -> VideoStream:
    stream = cast(VideoStream, output.add_stream(codec, rate=RATE))
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = key_every
    return stream


def _mux_frames(output: Any, stream: VideoStream, frames: Sequence[npt.NDArray[np.uint8]]) -> None:
    for pixels in frames:
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    output.mux(stream.encode())


def _mux_sound(output: Any, stream: AudioStream, sound: npt.NDArray[np.int16]) -> None:
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
    fitter = av.AudioResampler(stream.codec_context.format, "mono", 44_100, stream.codec_context.frame_size or 4096)
    for piece in [*fitter.resample(frame), *fitter.resample(None)]:
        output.mux(stream.encode(piece))
    output.mux(stream.encode())
