"""Frames spread over a film, without decoding more of it than they need.

A key packet decodes by itself, so of a long film only the one nearest the middle of each
of N equal stretches is decoded. A small film is decoded whole. Where key packets are so
sparse that half the stretches have none, those are filled by exact seeks, within a budget.
(`skip_frame="NONKEY"` would be simpler, but VP9's and some AV1 decoders ignore it.)
"""

from __future__ import annotations

import itertools
import time
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import Generic, TypeVar

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from capitoline.modalities.decoding.soundtrack import PACKET_ERRORS, message
from capitoline.modalities.schema import Frame

WHOLE_PIXELS = 15 * 30 * 1280 * 720
"""15 seconds of 720p at 30 frames a second, about a second of work: a film of so much is decoded whole."""
SOUGHT_PIXELS = 4 * WHOLE_PIXELS
"""What may be decoded on the way from a key packet to the frames sought behind it."""
ASPECT = 4
"""A frame's longer side is at most so many times the side asked for."""
RATES = (0.1, 240.0)
USUAL_RATE = 30.0
"""Frames a second that are believed, and what stands in for others or none."""

T = TypeVar("T")


class Clock:
    """When each packet of a stream is shown, in seconds from the start; counted where nothing is written."""

    def __init__(self, stream: VideoStream) -> None:
        rate = float(stream.average_rate or 0)
        self.rate = rate if RATES[0] <= rate <= RATES[1] else USUAL_RATE
        self._base = stream.time_base or Fraction(0)
        self.start = float((stream.start_time or 0) * self._base)
        self.reached = 0.0
        """Seconds at which the last packet so far ends."""
        self._ticks = 0

    def tick(self, packet: av.Packet[VideoStream]) -> float:
        # Products of whole numbers, and not of fractions: these took a fifth of a long film's time.
        ticks, ticks_a_second = self._base.numerator, self._base.denominator
        if packet.pts is None or not ticks:
            seconds = self._ticks / self.rate
        else:
            seconds = packet.pts * ticks / ticks_a_second - self.start
        if packet.size:  # the last packet of a demuxer is empty and only flushes
            self._ticks += 1
            length = (packet.duration or 0) * ticks / ticks_a_second or 1 / self.rate
            self.reached = max(self.reached, seconds + length)
        return max(0.0, seconds)


class Nearest(Generic[T]):
    """Of things with a time, the one nearest the middle of each of `count` equal stretches of `duration`."""

    def __init__(self, duration: float, count: int) -> None:
        self.kept: dict[int, tuple[float, T]] = {}
        self._stretch, self._count = duration / count, count

    def middle(self, stretch: int) -> float:
        return (stretch + 0.5) * self._stretch

    def add(self, seconds: float, thing: T) -> None:
        stretch = min(self._count - 1, max(0, int(seconds / self._stretch)))
        middle = self.middle(stretch)
        if stretch not in self.kept or abs(seconds - middle) < abs(self.kept[stretch][0] - middle):
            self.kept[stretch] = (seconds, thing)

    def missing(self) -> list[float]:
        """The middles of the stretches that have nothing."""
        return [self.middle(stretch) for stretch in range(self._count) if stretch not in self.kept]


class FilmStrip:
    """Chooses and decodes frames of a video stream from the packets offered to it in order.

    Args:
        duration: seconds over which the frames are spread.
        count: how many frames to choose.
        side: pixels of a frame's shorter side, at most.
    """

    def __init__(self, stream: VideoStream, duration: float, count: int, side: int) -> None:
        self._stream, self._context, self._side = stream, stream.codec_context, side
        self._context.thread_count = 1
        self._clock = Clock(stream)
        self._whole = duration * self._clock.rate * self._context.width * self._context.height <= WHOLE_PIXELS
        self._packets: Nearest[av.Packet[VideoStream]] = Nearest(duration, count)
        self._frames: Nearest[VideoFrame] = Nearest(duration, count)
        self._fewest = count // 2
        self._unseen = ""
        self._key_times: list[float] = []
        self._reformatter = VideoReformatter()
        self._tried = self._broken = 0
        self._reason = ""

    @property
    def reached(self) -> float:
        """Seconds from the start to the end of the last packet."""
        return self._clock.reached

    def add(self, packet: av.Packet[VideoStream]) -> None:
        seconds = self._clock.tick(packet)
        if self._whole:
            for frame in self._decode([packet]):
                self._frames.add(seconds if frame.time is None else frame.time - self._clock.start, frame)
        elif packet.size and packet.is_keyframe:
            self._key_times.append(seconds)
            self._packets.add(seconds, packet)

    def frames(self, container: InputContainer, deadline: float) -> tuple[Frame, ...]:
        """The chosen frames in order of time. Ends the strip.

        Args:
            deadline: on the clock of `time.monotonic`, after which no more are decoded.
        """
        shots = [Frame(self._pixels(frame), seconds) for seconds, frame in self._frames.kept.values()]
        for seconds, packet in self._packets.kept.values():
            if time.monotonic() < deadline:
                shots += [Frame(self._pixels(frame), seconds) for frame in self._decode([packet, None])[:1]]
                self._context.flush_buffers()
        if not self._whole and len(shots) < self._fewest:
            shots += self._sought(container, self._packets.missing(), deadline)
            if len(shots) < self._fewest:
                self._unseen = f"only {len(shots)} moments of {self.reached:.0f} seconds of film could be seen"
        return tuple(sorted(shots, key=lambda shot: shot.seconds))

    def failure(self) -> str:
        """Why a part of the film was not seen; empty if it was. One lost packet spoils frames up to the next key."""
        if self._broken:
            return f"{self._broken:,} of {self._tried:,} film packets could not be decoded: {self._reason}"
        return self._unseen

    def _decode(self, packets: Sequence[av.Packet[VideoStream] | None]) -> list[VideoFrame]:
        self._tried += 1
        try:
            frames = [frame for packet in packets for frame in self._context.decode(packet)]
        except PACKET_ERRORS as error:
            self._broken += 1
            self._reason = message(error)
            return []
        if any(frame.is_corrupt for frame in frames):  # FFmpeg fills in what is missing, and says so only here
            self._broken += 1
            self._reason = "damaged"
        return frames

    def _sought(self, container: InputContainer, middles: Sequence[float], deadline: float) -> list[Frame]:
        """Frames at these times: one seek to each key packet that precedes some, then forward over them."""
        shots: list[Frame] = []
        budget = SOUGHT_PIXELS
        for _, group in itertools.groupby(middles, key=lambda middle: bisect_right(sorted(self._key_times), middle)):
            wanted = list(group)
            try:
                offset = int((wanted[0] + self._clock.start) / (self._stream.time_base or 1))
                container.seek(offset, stream=self._stream, backward=True)
                for frame in container.decode(self._stream):
                    budget -= frame.width * frame.height
                    seconds = (frame.time or 0.0) - self._clock.start
                    if seconds + 0.5 / self._clock.rate >= wanted[0]:
                        shots.append(Frame(self._pixels(frame), seconds))
                        wanted.pop(0)
                    if not wanted or budget <= 0 or time.monotonic() > deadline:
                        break
            except PACKET_ERRORS as error:
                self._broken += 1
                self._reason = message(error)
            if budget <= 0 or time.monotonic() > deadline:
                break
        return shots

    def _pixels(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB, shrunk and upright."""
        scale = min(1.0, self._side / min(frame.width, frame.height))
        width, height = (
            min(max(2, round(length * scale)), ASPECT * self._side) for length in (frame.width, frame.height)
        )
        small = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation="AREA")
        # The display matrix's angle is counter-clockwise, as numpy's is.
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), round(frame.rotation / 90)), dtype=np.uint8)
