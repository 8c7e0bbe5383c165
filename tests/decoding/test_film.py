"""Films and sounds: frames over the whole length, all the sound, and no silence about what was not seen."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from capitoline.modalities.decoding import filmstrip
from capitoline.modalities.decoding.film import Film, FilmLimits, read_film
from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.schema import Modality
from tests.decoding.making import film, saved, scenery, shades, tone

DURATION = b"\x44\x89\x88"
"""Matroska's duration in milliseconds, a 64-bit float."""
CODECS = {"wav": "pcm_s16le", "mp3": "mp3", "ogg": "flac", "flac": "flac", "matroska": "flac"}


def read(
    data: bytes, frames: int = 16, pixels: int = 4096 * 2304, sound_seconds: float = 3_600, wall: float = 60
) -> Film:
    return read_film(data, FilmLimits(frames, 352, pixels, sound_seconds, time.monotonic() + wall))


def numbers(seen: Film) -> list[int]:
    """Which of `shades` were seen."""
    return [round((float(frame.pixels.mean()) - 10) / 3) for frame in seen.frames]


def test_every_real_clip_has_frames_of_its_whole_length(data: Path) -> None:
    clips = [path for path in (data / "video_clips").iterdir() if path.suffix in {".mp4", ".mkv", ".mov"}]
    assert len(clips) == 16
    for clip in clips:
        seen = read(clip.read_bytes())
        assert seen.frames, clip
        assert not seen.failures, clip
        assert seen.duration is not None
        assert seen.frames[-1].seconds >= 0.65 * seen.duration, clip
        assert min(seen.frames[0].pixels.shape[:2]) <= 352


def test_a_clip_filmed_upright_comes_out_upright(data: Path) -> None:
    for name in ("decord_video_90.mov", "tc_nasa_13013_rotated.mp4"):
        height, width, _ = read((data / "video_clips" / name).read_bytes()).frames[0].pixels.shape
        assert height > width


def test_a_small_film_shows_the_frame_nearest_the_middle_of_each_stretch() -> None:
    assert numbers(read(film(shades(80)), frames=8)) == [5, 15, 25, 35, 45, 55, 65, 75]


def test_key_packets_alone_show_the_same_pictures_as_the_whole_film(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = (data / "video_clips" / "decord_flipping_a_pancake.mkv").read_bytes()
    monkeypatch.setattr(filmstrip, "WHOLE_PIXELS", 0)
    seen = read(clip, frames=4)
    with av.open(io.BytesIO(clip), "r") as container:
        whole = {round(frame.time or 0, 3): frame for frame in container.decode(video=0)}
    assert len(seen.frames) >= 2
    for shot in seen.frames:
        naive = whole[round(shot.seconds, 3)].to_ndarray(format="rgb24", width=426, height=240)
        assert np.abs(shot.pixels.astype(int) - naive.astype(int)).mean() < 3


def test_sparse_key_packets_are_filled_by_exact_seeks(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.asarray(scenery(320, 192).rotate(3 * number)) for number in range(60)]
    sparse = film(frames, container="mp4", codec="libx264", key_every=60)
    whole = read(sparse, frames=8)
    monkeypatch.setattr(filmstrip, "USUAL_RATE", 1e9)
    monkeypatch.setattr(filmstrip, "RATES", (1e6, 1e9))  # at such a rate it is too long to decode whole
    sought = read(sparse, frames=8)
    assert len(sought.frames) == 8
    for exact, naive in zip(sought.frames[1:], whole.frames[1:], strict=True):
        assert exact.seconds == pytest.approx(naive.seconds, abs=0.11)


def test_a_film_most_of_which_would_cost_too_much_to_see_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = film(shades(80), key_every=80)
    monkeypatch.setattr(filmstrip, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(filmstrip, "SOUGHT_PIXELS", 20 * 96 * 64)
    seen = read(sparse, frames=8)
    assert seen.failures[Modality.VIDEO].reason == f"only {len(seen.frames)} moments of 8 seconds of film could be seen"


def test_a_film_that_lies_about_its_length_is_still_seen_to_its_end() -> None:
    honest = film(shades(80))
    at = honest.index(DURATION) + len(DURATION)
    for milliseconds in (500.0, 3_600_000.0, 0.0):
        lying = honest[:at] + struct.pack(">d", milliseconds) + honest[at + 8 :]
        assert numbers(read(lying, frames=8)) == [5, 15, 25, 35, 45, 55, 65, 75]


def test_a_film_without_a_declared_length_is_seen_to_its_end() -> None:
    bare = film(shades(40), container="h264", codec="libx264")
    seen = numbers(read(bare, frames=8))
    assert seen[0] <= 3
    assert seen[-1] >= 36


def test_a_mute_film_has_no_sound_and_no_failure_of_it() -> None:
    seen = read(film(shades(10)))
    assert seen.sound is None
    assert not seen.failures


def test_a_film_without_a_frame_is_a_failure_of_the_film() -> None:
    seen = read(film(shades(10), tone(1.0), lost=True))
    assert seen.frames == ()
    assert seen.failures[Modality.VIDEO].reason == "a film without a frame"
    assert seen.sound is not None


def test_a_film_cut_short_keeps_its_frames_and_says_where_it_ends() -> None:
    whole = film(shades(80), tone(8.0))
    seen = read(whole[: len(whole) // 2])
    assert seen.frames
    assert "of the 8.0 seconds that it declares" in seen.failures[Modality.VIDEO].reason


@pytest.mark.parametrize("container", ["wav", "mp3", "ogg", "flac", "matroska"])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_sound_cut_short_is_a_failure_and_what_is_left_is_heard(container: str, share: float) -> None:
    whole = film(sound=tone(8.0), container=container, sound_codec=CODECS[container])
    assert not read(whole).failures
    seen = read(whole[: int(share * len(whole))])
    assert seen.sound is not None
    assert Modality.AUDIO in seen.failures


@pytest.mark.parametrize("name", ["speech_clips/fw_hotwords.mp3", "esc10_sounds", "video_clips/pixelprobe_valid.mp4"])
def test_a_real_file_cut_short_is_a_failure(data: Path, name: str) -> None:
    path = data / name if (data / name).is_file() else min((data / name).glob("*.ogg"))
    whole = path.read_bytes()
    assert not read(whole).failures
    for share in (0.5, 0.85):
        seen = read(whole[: int(share * len(whole))])
        assert seen.failures, share


def test_an_mp3_cut_behind_a_long_tag_is_a_failure() -> None:
    sound = film(sound=tone(8.0), container="mp3", sound_codec="mp3", options={"id3v2_version": "0"})
    tag = b"ID3\x04\x00\x00" + bytes((0, 0, 2, 10)) + bytes(2 * 128 + 10)
    padded = tag + bytes(500) + sound
    assert not read(padded).failures
    assert Modality.AUDIO in read(padded[: len(padded) // 2]).failures


@pytest.mark.parametrize(("container", "codec"), [("mp3", "mp3"), ("adts", "aac")])
def test_a_sound_that_declares_no_length_is_whole_wherever_it_ends(container: str, codec: str) -> None:
    options = {"write_xing": "0"} if container == "mp3" else {}
    whole = film(sound=tone(4.0), container=container, sound_codec=codec, options=options)
    assert not read(whole[: len(whole) // 2]).failures


def test_damaged_packets_are_a_failure_and_the_rest_is_shown() -> None:
    frames = [np.asarray(scenery(320, 192).rotate(3 * number)) for number in range(60)]
    damaged = bytearray(film(frames, container="mp4", codec="libx264"))
    start = damaged.index(b"mdat") + 3_000
    damaged[start : start + 400] = bytes(400)
    seen = read(bytes(damaged))
    assert seen.frames
    assert Modality.VIDEO in seen.failures


def test_frames_beyond_the_pixel_limit_are_refused_and_the_sound_is_heard() -> None:
    seen = read(film(shades(5), tone(0.5)), pixels=96 * 64 - 1)
    assert seen.frames == ()
    assert "over the limit" in seen.failures[Modality.VIDEO].reason
    assert seen.sound is not None


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "mp3"), ("matroska", "flac"), ("adts", "aac")]
)
def test_sound_comes_out_at_sixteen_kilohertz(container: str, codec: str) -> None:
    seen = read(film(sound=tone(2.0, hertz=440), container=container, sound_codec=codec))
    assert seen.sound is not None
    assert seen.sound.dtype == np.int16
    assert abs(seen.sound.size - 32_000) < 2_000
    spectrum = np.abs(np.fft.rfft(seen.sound[8_000:24_000]))
    assert spectrum.argmax() == 440
    assert not seen.failures


def test_sound_beyond_the_limit_is_cut_and_says_so() -> None:
    seen = read(film(sound=tone(3.0), container="wav", sound_codec="pcm_s16le"), sound_seconds=1.0)
    assert seen.sound is not None
    assert seen.sound.size == 16_000
    assert seen.notes == ("sound cut after 1 seconds",)


def test_every_real_sound_is_heard(data: Path) -> None:
    sounds = [path for path in (data / "speech_clips").iterdir() if path.suffix in {".wav", ".mp3", ".flac"}][:6]
    for path in [*sounds, *sorted((data / "esc10_sounds").glob("*.ogg"))[:4]]:
        seen = read(path.read_bytes())
        assert seen.sound is not None, path
        assert seen.sound.size > 4_000, path
        assert not seen.failures, path


def test_the_picture_on_a_record_sleeve_is_seen() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp3") as output:
        track = output.add_stream("mp3", rate=44_100, layout="mono")
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 40, 30, "rgb24"
        cover.disposition = Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(np.asarray(scenery(40, 30)), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="s16p", layout="mono")
        frame.rate = 44_100
        resampler = av.AudioResampler("s16p", "mono", 44_100, 1152)
        for piece in resampler.resample(frame):
            output.mux(track.encode(piece))
    seen = read(stream.getvalue())
    assert seen.frames == ()
    assert len(seen.covers) == 1
    assert seen.covers[0].startswith(b"\x89PNG")


def test_a_playlist_cannot_make_the_decoder_open_other_files(tmp_path: Path) -> None:
    (tmp_path / "film.ts").write_bytes(film(shades(5), container="mpegts"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path / 'film.ts'}\n#EXT-X-ENDLIST\n"
    with pytest.raises(UndecodableError, match="not a film"):
        read(playlist.encode())
    with pytest.raises(UndecodableError, match="not a film"):
        read(f"ffconcat version 1.0\nfile {tmp_path / 'film.ts'}\n".encode())


def test_a_picture_is_no_film() -> None:
    with pytest.raises(UndecodableError):
        read(saved(scenery(64, 64), "PNG"))


def test_reading_stops_at_the_deadline_and_says_so() -> None:
    seen = read(film(shades(50), tone(5.0)), wall=-1)
    assert seen.failures.keys() == {Modality.VIDEO, Modality.AUDIO}


@pytest.mark.parametrize("length", [0, 0x7FFF_F024, 0xFFFF_FFFF])
def test_a_wav_written_to_a_pipe_which_knows_no_length_is_whole(length: int) -> None:
    whole = film(sound=tone(3.0), container="wav", sound_codec="pcm_s16le")
    assert not read(whole[:4] + struct.pack("<L", length) + whole[8:]).failures


@pytest.mark.parametrize("rate", [1, 999, 2_000_000])
def test_a_sample_rate_that_nobody_records_at_is_refused(rate: int) -> None:
    whole = film(sound=tone(1.0), container="wav", sound_codec="pcm_s16le")
    seen = read(whole[:24] + struct.pack("<2L", rate, 2 * rate) + whole[32:])
    assert seen.sound is None
    assert f"{rate:,} samples a second" in seen.failures[Modality.AUDIO].reason


def test_packets_of_a_stream_that_is_refused_are_no_pictures() -> None:
    seen = read(film(shades(20), container="matroska"), pixels=100)
    assert not seen.covers
    assert list(seen.failures) == [Modality.VIDEO]
