"""`capitoline doctor`: what is installed, which weights and devices are found, what to do about the rest."""

from __future__ import annotations

from capitoline.pipelines.doctor.check import Check, State, attempt, checks_json, checks_table
from capitoline.pipelines.doctor.libraries import decoders, graphics, onnxruntime, operator, ray
from capitoline.pipelines.doctor.machine import cache, disk, hub, memory, processor, python
from capitoline.pipelines.doctor.weights import shipped, wheels

__all__ = ["Check", "State", "checks_json", "checks_table", "diagnose"]

PROBES = {
    "Python": python,
    "processor": processor,
    "memory": memory,
    "disk": disk,
    "torch": graphics,
    "RWKV-7 operator": operator,
    "onnxruntime": onnxruntime,
    "ray": ray,
    "film and sound": decoders,
    "weights": shipped,
    "wheels": wheels,
    "cache": cache,
    "hub": hub,
}


def diagnose() -> list[Check]:
    """All checks, in a fixed order. Takes seconds, most of them imports, and never hangs on a network."""
    return [check for name, probe in PROBES.items() for check in attempt(name, probe)]
