"""Draws, synthesises and speaks the media in `samples/`, so that nothing in them is anybody's.

Run `python tests/make_samples.py` from the checkout; it needs espeak-ng. The files are committed,
so neither the demo nor the tests need to run this.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
RATE = 22_050  # hertz, espeak-ng's own

PICNIC = (
    "A family packs sandwiches and a kite and spends a sunny Saturday at the lake, "
    "where the children teach an old dog to fetch."
)
SLASHER = (
    "A sadistic killer stalks the survivors of a massacre through an abandoned slaughterhouse. "
    "Strong bloody violence, gore, torture, graphic nudity and pervasive language throughout."
)
SPEECH = (
    "Tonight on the late show: a murder, a brutal stabbing, and the bloody revenge of a drug dealer. "
    "This programme contains strong language and violence."
)


def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    sidecars("lake", lake(480, 320), PICNIC, ["family", "animation", "adventure"])
    lettering("warning-sign").save(SAMPLES / "warning-sign.png")
    (SAMPLES / "picnic.txt").write_text(PICNIC + "\n", encoding="utf-8")
    (SAMPLES / "slasher.txt").write_text(SLASHER + "\n", encoding="utf-8")
    write_sound(SAMPLES / "late-show.ogg", spoken(SPEECH))
    write_sound(SAMPLES / "rain.ogg", rain(6.0))
    write_film(SAMPLES / "sunrise.mp4", 6.0, spoken("The sun rises over the lake, and the birds begin to sing."))
    write_film(SAMPLES / "mute.mp4", 3.0, None)
    shard(SAMPLES / "shard.tar")
    (SAMPLES / "broken.jpg").write_bytes(jpeg(lake(320, 240))[:2_000])


def lake(width: int, height: int, sun: float = 0.5) -> Image.Image:
    """A lake under a sun that stands at `sun`, 0 at the horizon and 1 at the zenith."""
    picture = Image.new("RGB", (width, height), (120, 180, 230))
    draw = ImageDraw.Draw(picture)
    horizon = height * 2 // 3
    x, y, radius = width * 0.7, horizon * (1.0 - sun), height * 0.09
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 220, 90))
    draw.rectangle((0, horizon, width, height), fill=(40, 110, 160))
    draw.polygon([(0, horizon), (width * 0.3, horizon * 0.5), (width * 0.6, horizon)], fill=(70, 130, 80))
    return picture


def lettering(name: str) -> Image.Image:
    """A sign with words on it."""
    picture = Image.new("RGB", (640, 360), (245, 240, 220))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=34)
    words = "WARNING\nThis film contains graphic violence,\nbloody murder, explicit sex\nand strong language"
    draw.rectangle((12, 12, 628, 348), outline=(160, 20, 20), width=8)
    draw.multiline_text((40, 70), words, fill=(30, 30, 30), font=font, spacing=16)
    return picture


def sidecars(name: str, picture: Image.Image, prompt: str, tags: list[str]) -> None:
    """A picture with its prompt and tags beside it, as text-to-image sites keep them."""
    picture.save(SAMPLES / f"{name}.jpg", quality=85)
    (SAMPLES / f"{name}.txt").write_text(prompt + "\n", encoding="utf-8")
    (SAMPLES / f"{name}.json").write_text(json.dumps({"tags": tags, "model": "drawn by hand"}) + "\n", encoding="utf-8")


def jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def shard(path: Path) -> None:
    """A WebDataset shard: members with one basename are one item."""
    members = {
        "0001.jpg": jpeg(lake(256, 192, 0.2)),
        "0001.txt": PICNIC.encode(),
        "0002.txt": SLASHER.encode(),
        "0002.json": json.dumps({"tags": ["horror", "gore", "slasher"]}).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def spoken(text: str) -> npt.NDArray[np.int16]:
    """(S,) at `RATE`, spoken by espeak-ng."""
    command = ["espeak-ng", "--stdout", "-v", "en-us", "-s", "150", text]
    sound = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def rain(seconds: float) -> npt.NDArray[np.int16]:
    """(S,) at `RATE`: filtered noise that nobody speaks in."""
    noise = np.random.default_rng(7).normal(size=int(seconds * RATE))
    smooth = np.convolve(noise, np.ones(12) / 12, mode="same")
    loudest: float = np.abs(smooth).max()
    return np.asarray(smooth / loudest * 9_000, dtype=np.int16)


def write_sound(path: Path, samples: npt.NDArray[np.int16]) -> None:
    with av.open(str(path), "w") as container:
        add_sound(container, container.add_stream("libopus", rate=48_000, layout="mono"), samples)


def write_film(path: Path, seconds: float, sound: npt.NDArray[np.int16] | None) -> None:
    """A sunrise in H.264, with a sound track in AAC unless `sound` is None."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=12)
        pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
        track = container.add_stream("aac", rate=44_100, layout="mono") if sound is not None else None
        count = int(seconds * 12)
        for number in range(count):
            picture = np.asarray(lake(320, 240, number / count))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if track is not None and sound is not None:
            add_sound(container, track, sound)


def add_sound(container: av.container.OutputContainer, track: av.AudioStream, samples: npt.NDArray[np.int16]) -> None:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    resampler = av.AudioResampler(track.format.name, "mono", track.rate)
    for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(track.encode(resampled))
    container.mux(track.encode())


if __name__ == "__main__":
    main()
