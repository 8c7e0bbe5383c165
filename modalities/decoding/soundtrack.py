"""The sound of a film or sound file, gathered packet by packet as 16 kHz mono."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import FFmpegError

from capitoline.modalities.schema import SAMPLE_RATE

TOLERATED_SHARE = 0.02
"""Share of sound packets that may fail before a part counts as unheard; a cut MP3 begins with a bad one."""

PACKET_ERRORS = (FFmpegError, ValueError, ArithmeticError)
"""What PyAV raises on hostile packets; a time base of zero divides by it."""


def message(error: Exception) -> str:
    """FFmpeg's own words, without its number and call."""
    return getattr(error, "strerror", None) or str(error)


class SoundTrack:
    """Decodes and resamples an audio stream's packets, up to a limit of seconds."""

    def __init__(self, stream: AudioStream, seconds: float) -> None:
        stream.codec_context.thread_count = 1
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE, frame_size=SAMPLE_RATE)  # a second a piece
        self._begun = False
        self._room = int(seconds * SAMPLE_RATE)
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._packets = self._broken = 0
        self._reason = ""
        self.cut = False
        """Whether there was more than the limit."""

    def add(self, packet: av.Packet[AudioStream]) -> None:
        if self._room <= 0:
            self.cut = True
            return
        self._packets += 1
        try:
            for frame in packet.decode():
                self._resample(frame)
        except PACKET_ERRORS as error:
            self._broken += 1
            self._reason = message(error)

    def samples(self) -> npt.NDArray[np.int16] | None:
        """(S,) all that was heard; None if nothing. Ends the track."""
        if self._begun:
            self._resample(None)
        return np.concatenate(self._pieces) if self._pieces else None

    def failure(self) -> str:
        """Why a meaningful part of the track was not heard; empty if all was."""
        if self._broken > TOLERATED_SHARE * self._packets:
            return f"{self._broken:,} of {self._packets:,} sound packets could not be decoded: {self._reason}"
        return "" if self._pieces else "the sound track holds no sound"

    def _resample(self, frame: AudioFrame | None) -> None:
        self._begun = True
        for piece in self._resampler.resample(frame):
            heard = np.frombuffer(bytes(piece.planes[0]), np.int16, piece.samples)  # twice as fast as `to_ndarray`
            samples = heard[: self._room]
            self.cut |= samples.size < heard.size
            self._room -= samples.size
            self._pieces.append(samples)
