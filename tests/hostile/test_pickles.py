"""Nothing that comes from outside is unpickled or executed, weights included."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from capitoline.configs.settings import load_settings
from capitoline.modalities.rwkv.checkpoint import read_tensors
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.streaming import restore
from capitoline.modalities.speech.whisper_engines import OpenAiWhisper
from capitoline.modalities.vision.encoder_export import read_weights
from capitoline.modalities.weights import read_arrays, read_metadata

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("configs", "modalities", "voter", "fusion", "pipelines")
SMALL = Size(8, 64, 1, 64, 64, 8, 8, 8, 8)

LOADERS = "pickle cloudpickle dill joblib marshal"
FORBIDDEN = frozenset(f"{module}.{name}" for module in LOADERS.split() for name in ("load", "loads", "Unpickler")) | {
    "eval", "exec", "os.system", "os.popen", "shelve.open", "yaml.load", "yaml.unsafe_load", "pandas.read_pickle",
    "pd.read_pickle", "torch.jit.load", "torch.package.PackageImporter",
}  # fmt: skip
REFUSED = {"allow_pickle": True, "shell": True, "trust_remote_code": True, "weights_only": False}
"""Arguments that open the door, and their values."""


class Harmful:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.mark,)


def harmful_files(folder: Path, mark: Path) -> Iterator[Path]:
    """A bare pickle, a zipped checkpoint, a pickle in a NumPy file, under every name that weights have."""
    torch.save({"emb.weight": Harmful(mark)}, folder / "zipped")
    np.save(folder / "array.npy", np.array([Harmful(mark)], dtype=object), allow_pickle=True)
    contents = [pickle.dumps(Harmful(mark)), (folder / "zipped").read_bytes(), (folder / "array.npy").read_bytes()]
    for number, content in enumerate(contents):
        for ending in ("pth", "pt", "bin", "safetensors", "onnx", "ckpt", "pkl"):
            path = folder / f"weights-{number}.{ending}"
            path.write_bytes(content)
            yield path


READERS: dict[str, Callable[[Path], object]] = {
    "checkpoint": read_tensors,
    "encoder": read_weights,
    "metadata": read_metadata,
    "arrays": lambda path: read_arrays(path, "text"),
    "states": lambda path: restore(path, SMALL),
    "whisper": lambda path: OpenAiWhisper(str(path)),
}


def test_a_pickle_that_is_believed_would_be_caught(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Harmful(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("reader", READERS)
def test_a_weights_file_that_is_a_pickle_is_refused_and_not_executed(reader: str, tmp_path: Path) -> None:
    for path in harmful_files(tmp_path, tmp_path / "executed"):
        with pytest.raises(ValueError, match=path.stem):
            READERS[reader](path)
        assert not (tmp_path / "executed").exists(), path


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "sample"), [("text", "picnic.txt"), ("image", "lake.jpg"), ("video", "mute.mp4")])
def test_the_command_line_refuses_it_in_words(kind: str, sample: str, tmp_path: Path) -> None:
    *_, path = harmful_files(tmp_path, tmp_path / "executed")
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump({"experts": [{"kind": kind, "weights": str(path)}]}), encoding="utf-8")
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", str(ROOT / "samples" / sample)]
    ran = subprocess.run(
        [*command, "--config", str(config), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "safetensors" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "executed").exists()


def test_a_configuration_that_names_python_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"experts: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'executed'}]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot read the configuration"):
        load_settings(path)
    assert not (tmp_path / "executed").exists()


def test_no_line_of_ours_unpickles_or_executes() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 100
    for path in paths:
        for call in calls(path):
            name, place = ast.unparse(call.func), f"{path}:{call.lineno}"
            given = {one.arg: one.value.value for one in call.keywords if isinstance(one.value, ast.Constant)}
            assert name not in FORBIDDEN, place
            assert not [key for key, value in REFUSED.items() if given.get(key) is value], place
            assert name != "torch.load" or given.get("weights_only") is True, place


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
