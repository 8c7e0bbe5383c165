"""What is installed is what lies in the checkout, and the layers import one way."""

from __future__ import annotations

import ast
import importlib
import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {"configs": 0, "modalities": 1, "voter": 2, "fusion": 2, "pipelines": 3}
"""Imports run one way: configs ← modalities ← {voter, fusion} ← pipelines."""

DATA_ONLY = {f"capitoline.configs.{one}" for one in ("ablate", "distil", "eval", "kubernetes", "train")} | {
    "capitoline.modalities.shipped"
}
"""Folders without code that are installed with their files."""


def sources() -> list[Path]:
    return [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]


def test_every_folder_with_an_init_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(ROOT) for path in sources() if path.name == "__init__.py"}
    packages = {f"capitoline.{'.'.join(folder.parts)}" for folder in folders}
    assert set(project["tool"]["setuptools"]["packages"]) == packages | DATA_ONLY


def test_every_layer_is_typed_for_those_who_import_it() -> None:
    assert all((ROOT / layer / "py.typed").exists() for layer in LAYERS)


def test_imports_run_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources()
        for module in imported(path)
        if LAYERS[module.split(".")[1]] > LAYERS[path.relative_to(ROOT).parts[0]]
        or {module.split(".")[1], path.relative_to(ROOT).parts[0]} == {"voter", "fusion"}
    ]
    assert wrong == []


@pytest.mark.skipif("CAPITOLINE_TEST_WHEEL" not in os.environ, reason="`make test` runs on the wheel; this is not it")
def test_the_code_under_test_is_the_installed_wheel() -> None:
    for layer in LAYERS:
        file = importlib.import_module(f"capitoline.{layer}").__file__
        assert file is not None
        assert "site-packages" in file


def imported(path: Path) -> list[str]:
    """Modules of ours that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [name for name in names if name.startswith("capitoline.")]


def test_the_readme_s_tree_names_every_module() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## The tree")[1]
    missing = [path.name for path in sources() if path.name != "__init__.py" and f" {path.name} " not in tree]
    assert missing == []
