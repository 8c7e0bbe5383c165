"""Labelled examples → the sequences that a network reads, one class for each kind of weights.

Each draws its augmentation from the generator it is given; without one it gives exactly what
an expert would see, so that training and serving cannot drift apart.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.modalities.frames import CHANNELS, frame_vectors, spread
from capitoline.modalities.tags import tag_names, tags_text
from capitoline.modalities.trunk import BEGIN, BYTES, Vocabulary, windows
from capitoline.pipelines.training.dataset import Division, Example

if TYPE_CHECKING:
    from capitoline.modalities.encoder import ImageEncoder

Array = npt.NDArray[Any]

PICTURES = 64
"""Pictures decoded at a time."""


class Inputs(Protocol):
    """Makes sequences of examples, and says what a weight file must hold beside the network."""

    vocabulary: int
    """Token ids; 0 if vectors go in."""
    vector: int
    """Width of the vectors; 0 if ids go in."""

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """To train on, augmented by `draw`; without one, to choose on."""
        ...

    def served(self, example: Example) -> list[Array]:
        """All that an expert would read, of which the most severe part speaks for the example."""
        ...

    def reason(self, example: Example) -> Array | None:
        """Token ids of why the example has its label, if that is known and to be learned."""
        ...

    def metadata(self) -> dict[str, Any]: ...

    def tensors(self) -> dict[str, Array]: ...


class TextInputs:
    """Texts, and tags as text, in tokens of a vocabulary: of `kept` World ids, or of what the training rows use."""

    vector = 0

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        self._window, self._forget = settings.window, settings.forget
        if kept is None:
            kept = used_tokens((example_text(one) for one in examples if one.division is Division.TRAIN), settings)
        self._vocabulary = Vocabulary(kept)
        texts = {text: self._vocabulary.encode(text) for text in set(map(example_text, examples))}
        self._tokens = {one.key: texts[example_text(one)] for one in examples}
        self._reasons = {one.key: self._vocabulary.encode(why) for one in examples if (why := _reason(one))}
        self.vocabulary = len(self._vocabulary)

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """(T,) int64: the first window of the text; in training any window, some tokens dropped."""
        parts = windows(self._tokens[example.key], self._window)
        if draw is None:
            return parts[0]
        part = parts[draw.integers(len(parts))]
        kept: Array = part[(draw.random(len(part)) >= self._forget) | (part == BEGIN)]
        return kept

    def served(self, example: Example) -> list[Array]:
        """Every window of the text."""
        return [*windows(self._tokens[example.key], self._window)]

    def reason(self, example: Example) -> Array | None:
        return self._reasons.get(example.key)

    def metadata(self) -> dict[str, Any]:
        return {"window": self._window}

    def tensors(self) -> dict[str, Array]:
        return {"vocabulary": self._vocabulary.kept}


def used_tokens(texts: Iterable[str], settings: Training) -> list[int]:
    """World ids, above the bytes, of the tokens that `texts` use often enough."""
    whole = Vocabulary.whole()
    counts = Counter(token for text in texts for token in whole.encode(text).tolist())
    return sorted(token for token, count in counts.items() if token > BYTES and count >= settings.rarest)


def example_text(example: Example) -> str:
    """The text that the head of the example's source reads: columns of text, then those of tags."""
    source = example.source
    if source.head == "tags":
        return _tags(example.row, source.columns)
    text = " ".join(str(example.row[name]) for name in source.columns if example.row.get(name))
    return f"{text} {_tags(example.row, source.tags)}" if source.tags else text


def _reason(example: Example) -> str:
    reason = example.source.reason
    return str(example.row.get(reason.column) or "") if reason else ""


def _tags(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    found = [str(row[name]).replace(";", ",") for name in columns if row.get(name)]
    return tags_text(tag_names(tag for column in found for tag in column.split(",")))


class ImageInputs:
    """Patch tokens of pictures, computed once by the frozen encoder."""

    vocabulary = 0

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        from capitoline.modalities.encoder import ImageEncoder

        self._encoder = ImageEncoder()
        self.vector = self._encoder.width
        self._forget = settings.forget
        # Several heads may learn from one picture, which is encoded once.
        different = {_picture(one): one for one in examples}
        tokens = encoded_pictures(self._encoder, list(different.values()), data)
        halves = dict(zip(different, (array.astype(np.float16) for array in tokens), strict=True))
        self._tokens = {one.key: halves[_picture(one)] for one in examples}

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """(P, E) float32; in training half of the pictures mirrored, some patches dropped."""
        tokens: Array = self._tokens[example.key].astype(np.float32)
        if draw is None:
            return tokens
        if draw.random() < 0.5:
            tokens = mirrored(tokens)
        kept: Array = tokens[draw.random(len(tokens)) >= self._forget]
        return kept

    def served(self, example: Example) -> list[Array]:
        return [self.sequence(example, None)]

    def reason(self, example: Example) -> Array | None:
        return None

    def metadata(self) -> dict[str, Any]:
        return {"encoder": self._encoder.name, "encoder_sha256": self._encoder.digest}

    def tensors(self) -> dict[str, Array]:
        return {}


def mirrored(tokens: Array) -> Array:
    """(P, E) tokens of a square grid, in raster order, with left and right exchanged."""
    side = round(len(tokens) ** 0.5)
    grid = tokens.reshape(side, side, -1)
    exchanged: Array = grid[:, ::-1].reshape(tokens.shape)
    return exchanged


def encoded_pictures(
    encoder: ImageEncoder, examples: Sequence[Example], data: Path
) -> Iterator[npt.NDArray[np.float32]]:
    """(P, E) patch tokens of each example's picture; a few pictures are in memory at a time."""
    with ExitStack() as stack:
        archives = {
            name: stack.enter_context(zipfile.ZipFile(data / name))
            for name in sorted({one.source.archive for one in examples})
        }
        for start in range(0, len(examples), PICTURES):
            some = examples[start : start + PICTURES]
            yield from encoder([_read_picture(one, archives[one.source.archive]) for one in some])


def _picture(example: Example) -> tuple[str, str]:
    """Archive and member of an example's picture."""
    return example.source.archive, str(example.row[example.source.columns[0]])


def _read_picture(example: Example, archive: zipfile.ZipFile) -> npt.NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    from PIL import Image

    member = archive.read(_picture(example)[1])
    return np.asarray(Image.open(io.BytesIO(member)).convert("RGB"), np.uint8)


class VideoInputs:
    """Frame scores of films, as `frames.py` makes vectors of them."""

    vocabulary = 0
    vector = 2 * len(CHANNELS)

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        self._window, self._forget = settings.window, settings.forget
        self._scores = dict(zip((one.key for one in examples), frame_scores(examples, data), strict=True))

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """(window, 2 × channels) float32 over the whole film; in training over any stretch, some channels hidden."""
        scores = self._scores[example.key]
        known = np.ones(len(CHANNELS), bool)
        if draw is not None:
            scores = scores[some_stretch(len(scores), draw)]
            known = hide_channels(draw, self._forget)
        return frame_vectors(scores[spread(len(scores), self._window)], known)

    def served(self, example: Example) -> list[Array]:
        return [self.sequence(example, None)]

    def reason(self, example: Example) -> Array | None:
        return None

    def metadata(self) -> dict[str, Any]:
        return {"window": self._window, "channels": list(CHANNELS)}

    def tensors(self) -> dict[str, Array]:
        return {}


def some_stretch(count: int, draw: np.random.Generator) -> slice:
    """Half the time all of `count` frames, as an expert takes them, else a stretch of eight or more."""
    if draw.random() < 0.5:
        return slice(count)
    length = int(np.exp(draw.uniform(np.log(min(8, count)), np.log(count))))
    start = int(draw.integers(count - length + 1))
    return slice(start, start + length)


def hide_channels(draw: np.random.Generator, share: float) -> npt.NDArray[np.bool_]:
    """(channels,) known or not. Half the time only those that pixels give here, so that it learns to live on them."""
    known = draw.random(len(CHANNELS)) >= share
    known[:2] = True
    if draw.random() < 0.5:
        known[2:] = False
    return known


def frame_scores(examples: Sequence[Example], data: Path) -> list[npt.NDArray[np.float32]]:
    """Of each example's clip the (frames, channels) scores."""
    archives = {one.source.archive for one in examples}
    arrays = {name: (loaded["frames"], loaded["offsets"]) for name in archives for loaded in [np.load(data / name)]}
    scores = []
    for example in examples:
        frames, offsets = arrays[example.source.archive]
        scores.append(frames[offsets[example.index] : offsets[example.index + 1]].astype(np.float32))
    return scores


INPUTS: dict[str, Callable[[Sequence[Example], Training, Path, Sequence[int] | None], Inputs]] = {
    "text": TextInputs,
    "image": ImageInputs,
    "video": VideoInputs,
}
