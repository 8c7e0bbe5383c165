"""A film's or sound file's bytes to frames and sound, in one pass over its packets (FFmpeg by PyAV)."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from capitoline.modalities.decoding.filmstrip import Clock, FilmStrip
from capitoline.modalities.decoding.lengths import lacks_its_end, missing_bytes
from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.decoding.soundtrack import PACKET_ERRORS, SoundTrack, message
from capitoline.modalities.schema import SAMPLE_RATE, Failure, Frame, Modality, Outcome

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,m4v,h263,h264,hevc,vvc,obu,ivf,mxf,dv,"
    "rm,nut,yuv4mpegpipe,ogg,wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,flac,amr,amrnb,amrwb,wv,ape,tta,dts,truehd,mpc,mpc8"
)
"""What FFmpeg may take bytes for: no playlists, which fetch other files, no text turned into pictures."""
LENGTH_GUESSED = frozenset({"mp3", "aac", "ac3", "eac3", "amr", "dts", "mpeg", "mpegts", "mpegvideo", "h264", "hevc"})
"""Containers that declare no length: FFmpeg divides their size by a bit rate."""
PROBE_BYTES = 5_000_000
READ_BYTES = 1 << 18
MAXIMUM_PACKETS = 2_000_000
MAXIMUM_COVERS = 4
SOUND_RATES = (1_000, 1_000_000)
"""Samples a second that are believed: nobody speaks below, and a few bytes at 1 Hz would be hours of sound."""

SLACK_SHARE, SLACK_SECONDS = 0.1, 1.0
"""How far a film may end from where it says before that is believed to be wrong."""

Track = TypeVar("Track", VideoStream, AudioStream)


@dataclass(frozen=True, slots=True)
class Film:
    """What could be seen and heard."""

    frames: tuple[Frame, ...] = ()
    sound: npt.NDArray[np.int16] | None = None
    duration: float | None = None
    """Seconds to the end of the last packet or sample."""
    reached: float = 0.0
    """Seconds to the end of the last packet of the pictures alone."""
    cut: bool = False
    """Whether the sound was longer than its limit."""
    covers: tuple[bytes, ...] = ()
    """Attached pictures (a cover), as the files they are."""
    failures: dict[Modality, Failure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilmLimits:
    frames: int
    side: int
    """Pixels of a frame's shorter side."""
    pixels: int
    """Width × height that a frame may declare."""
    sound_seconds: float
    deadline: float
    """On the clock of `time.monotonic`: what was read until then is returned with a failure."""


def read_film(data: bytes, limits: FilmLimits) -> Film:
    """Frames spread over the film's length, and its sound.

    Raises:
        UndecodableError: not a film or sound, or one without a stream of either.
    """
    with _open(data) as container:
        declared = _declared_seconds(container)
        exact = container.format.name not in LENGTH_GUESSED
    film = _read(data, declared or _measured_seconds(data, limits), limits)
    if film.frames and _apart(film.reached, declared):
        # It lied about its length, so the frames are not spread over it: all in the first stretch, or the last.
        film = _read(data, film.reached, limits)
    if reason := _shortfall(data, film, declared if exact else 0.0):
        part = Modality.VIDEO if film.frames or Modality.VIDEO in film.failures else Modality.AUDIO
        film.failures.setdefault(part, Failure(Outcome.ERROR, reason))
    return film


def _shortfall(data: bytes, film: Film, declared: float) -> str:
    """Why there must have been more; empty if there need not."""
    missing, duration = missing_bytes(data), film.duration or 0.0
    if missing > SLACK_SHARE * len(data):
        return f"cut short: {missing:,} of {missing + len(data):,} bytes are missing"
    if lacks_its_end(data):
        return "cut short: the last page is not the end of its stream"
    if duration < declared and _apart(duration, declared) and not film.cut:
        return f"ends after {duration:.1f} of the {declared:.1f} seconds that it declares"
    return ""


def _apart(reached: float, declared: float) -> bool:
    return declared > 0 and abs(reached - declared) > SLACK_SECONDS + SLACK_SHARE * declared


def _open(data: bytes) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "probesize": str(PROBE_BYTES), "analyzeduration": str(PROBE_BYTES)}
    try:
        return av.open(io.BytesIO(data), "r", metadata_errors="ignore", options=options, buffer_size=READ_BYTES)
    except FFmpegError as error:
        raise UndecodableError(f"not a film or sound that FFmpeg opens: {message(error)}") from error


def _declared_seconds(container: InputContainer) -> float:
    """Of the film, else of the whole file; 0 where nothing is declared."""
    for stream in _films(container):
        if stream.duration and stream.time_base:
            return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / av.time_base)


def _measured_seconds(data: bytes, limits: FilmLimits) -> float:
    """The film's length by a pass over its packets that decodes none."""
    with _open(data) as container:
        films = _films(container)
        if not films:
            return 0.0
        clock = Clock(films[0])
        for count, packet in enumerate(container.demux(films[0])):
            clock.tick(packet)
            if count > MAXIMUM_PACKETS or time.monotonic() > limits.deadline:
                break
        return clock.reached


def _films(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _read(data: bytes, duration: float, limits: FilmLimits) -> Film:
    with _open(data) as container:
        return _Pass(container, duration, limits).film()


class _Pass:
    """One pass over the packets of one container."""

    def __init__(self, container: InputContainer, duration: float, limits: FilmLimits) -> None:
        self._container, self._limits = container, limits
        self._failures: dict[Modality, Failure] = {}
        self._notes: list[str] = []
        self._covers: list[bytes] = []
        films, sounds = _films(container), container.streams.audio
        self._cover_streams = [stream for stream in container.streams.video if stream not in films]
        self._film = self._readable(films, Modality.VIDEO)
        self._sound = self._readable(sounds, Modality.AUDIO)
        if not (films or sounds or self._cover_streams):
            raise UndecodableError("holds neither film nor sound")
        side = limits.side
        self._strip = FilmStrip(self._film, max(duration, 1e-3), limits.frames, side) if self._film else None
        self._track = SoundTrack(self._sound, limits.sound_seconds) if self._sound else None

    def film(self) -> Film:
        self._demux()
        frames = self._seen()
        sound = self._heard()
        reached = self._strip.reached if self._strip else 0.0
        duration = max(reached, 0.0 if sound is None else sound.size / SAMPLE_RATE)
        cut = self._track is not None and self._track.cut
        return Film(
            frames, sound, duration or None, reached, cut, tuple(self._covers), self._failures, tuple(self._notes)
        )

    def _demux(self) -> None:
        streams = [stream for stream in (self._film, self._sound, *self._cover_streams) if stream is not None]
        if not streams:  # all were refused; FFmpeg would take an empty list for all
            return
        try:
            for count, packet in enumerate(self._container.demux(streams)):
                if count > MAXIMUM_PACKETS or time.monotonic() > self._limits.deadline:
                    self._stop(f"reading stopped after {count:,} packets, over a limit")
                    return
                self._deal(packet)
        except PACKET_ERRORS as error:
            self._stop(f"broken off: {message(error)}")

    def _deal(self, packet: av.Packet[Stream]) -> None:
        if self._strip and packet.stream is self._film:
            self._strip.add(cast("av.Packet[VideoStream]", packet))
        elif self._track and packet.stream is self._sound:
            self._track.add(cast("av.Packet[AudioStream]", packet))
        elif packet.size and len(self._covers) < MAXIMUM_COVERS:
            self._covers.append(bytes(packet))
        elif packet.size:
            self._fail(Modality.IMAGE, f"more than {MAXIMUM_COVERS} attached pictures")

    def _seen(self) -> tuple[Frame, ...]:
        if self._strip is None:
            return ()
        frames = self._strip.frames(self._container, self._limits.deadline)
        reason = self._strip.failure() or ("" if frames else "a film without a frame")
        self._fail(Modality.VIDEO, reason)
        return frames

    def _heard(self) -> npt.NDArray[np.int16] | None:
        if self._track is None:
            return None
        samples = self._track.samples()
        self._fail(Modality.AUDIO, self._track.failure())
        if self._track.cut:
            self._notes.append(f"sound cut after {self._limits.sound_seconds:,.0f} seconds")
        return samples

    def _readable(self, streams: Sequence[Track], part: Modality) -> Track | None:
        """The first of the streams, which players show or play, if it can be decoded."""
        if len(streams) > 1:
            self._notes.append(f"{len(streams)} {part} tracks, of which only the first was looked at")
        if not streams:
            return None
        context = streams[0].codec_context
        if context is None:
            self._fail(part, f"{part} in an unknown codec", Outcome.UNSUPPORTED)
            return None
        rate = getattr(context, "sample_rate", SOUND_RATES[0])
        if not SOUND_RATES[0] <= rate <= SOUND_RATES[1]:
            self._fail(part, f"declares {rate:,} samples a second, beyond {SOUND_RATES[0]:,} to {SOUND_RATES[1]:,}")
            return None
        pixels = getattr(context, "width", 0) * getattr(context, "height", 0)
        if pixels > self._limits.pixels:
            self._fail(part, f"declares frames of {pixels:,} pixels, over the limit of {self._limits.pixels:,}")
            return None
        # FFmpeg itself then refuses a frame that grows past the limit half-way.
        context.options = {"max_pixels": str(self._limits.pixels)}
        return streams[0]

    def _stop(self, reason: str) -> None:
        for part, stream in ((Modality.VIDEO, self._film), (Modality.AUDIO, self._sound)):
            self._fail(part, reason if stream is not None else "")

    def _fail(self, part: Modality, reason: str, outcome: Outcome = Outcome.ERROR) -> None:
        if reason:
            self._failures.setdefault(part, Failure(outcome, reason))
