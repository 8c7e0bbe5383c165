"""The libraries that rating stands on, imported for real: one that is installed may still be broken."""

from __future__ import annotations

from capitoline.pipelines.doctor.check import Check, State

DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "aac", "mp3", "opus", "vorbis", "flac")
"""FFmpeg's names of what films and sounds on the web are made of."""


def graphics() -> list[Check]:
    import torch

    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [
        Check("torch", State.OK, torch.__version__),
        Check("GPU", State.OK, ", ".join(devices) or "none; everything runs on the processor"),
    ]


def operator() -> list[Check]:
    """The recurrence of RWKV-7, compiled when capitoline is installed."""
    from capitoline.modalities.rwkv.library import operator_available, operator_status

    if operator_available():
        return [Check("RWKV-7 operator", State.OK, operator_status())]
    return [Check("RWKV-7 operator", State.WARN, "not compiled; ratings are the same", operator_status())]


def onnxruntime() -> list[Check]:
    import onnxruntime

    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    return [Check("onnxruntime", State.OK, f"{onnxruntime.__version__}: {providers}")]


def ray() -> list[Check]:
    import ray

    return [Check("ray", State.OK, ray.__version__)]


def decoders() -> list[Check]:
    import av

    found = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    missing = [name for name in DECODERS if not _decodes(name)]
    if not missing:
        return [Check("film and sound", State.OK, f"{found}: {', '.join(DECODERS)}")]
    advice = "take PyAV's own wheel, which brings FFmpeg: pip install --force-reinstall --only-binary av av"
    return [Check("film and sound", State.WARN, f"{found}: cannot decode {', '.join(missing)}", advice)]


def _decodes(name: str) -> bool:
    import av

    try:
        av.Codec(name, "r")
    except ValueError:
        return False
    return True
