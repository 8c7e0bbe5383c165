"""TF-IDF of words and of characters with a balanced logistic regression: the floor.

Kept as safetensors: the terms as JSON in a tensor of bytes, their inverse document frequencies,
and a regression for each axis of each head. Nothing of scikit-learn is pickled.

Legend:  N = texts, F = terms, A = axes of a head, K = levels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.networks.ordinal import head_shapes
from capitoline.modalities.networks.rater import Ratings
from capitoline.modalities.weights import read_weights, write_weights
from capitoline.pipelines.training.baselines.saving import bytes_of, common_metadata, text_of
from capitoline.pipelines.training.corpus import Rows, by_head, head_shapes_of
from capitoline.pipelines.training.dataset import Example, targets_of
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.texts import example_text

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from torch import Tensor

Terms = Any
"""A sparse matrix of SciPy, (N, F) float32."""

ANALYSES: dict[str, dict[str, Any]] = {
    "word": {"analyzer": "word", "ngram_range": (1, 2)},
    "char_wb": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}
LEAST = 2
"""Texts in which a term must occur."""
MOST = 200_000
"""Terms of one analysis."""


def fit(settings: Training, rows: Rows, folder: RunFolder) -> Path:
    """Fit terms on all training texts and a regression for each axis of each head."""
    import torch

    texts = sorted({example_text(one) for one in rows.train})
    vectorizers = {name: _vectorizer(name, min_df=LEAST, max_features=MOST).fit(texts) for name in ANALYSES}
    tensors: dict[str, Tensor] = {}
    for name, one in vectorizers.items():
        tensors[f"{name}.terms"] = bytes_of(json.dumps(one.get_feature_names_out().tolist()))
        tensors[f"{name}.idf"] = torch.from_numpy(one.idf_.astype(np.float32))
    shapes = head_shapes_of(settings)
    for head, examples in by_head(rows.train).items():
        terms, severities = _terms(vectorizers, examples), targets_of(examples)
        found = [_regress(terms, severities[:, axis], len(shapes[head].levels)) for axis in range(severities.shape[1])]
        weights, biases = zip(*found, strict=True)
        tensors[f"{head}.weight"], tensors[f"{head}.bias"] = (
            torch.from_numpy(np.stack(one)) for one in (weights, biases)
        )
    path = folder.path / f"{settings.name}.safetensors"
    write_weights(path, tensors, common_metadata(settings, shapes))
    return path


class TfidfExamples:
    """Such a file, asked about texts.

    Raises:
        ValueError: the file cannot be read.
    """

    def __init__(self, path: Path, data: Path) -> None:
        self._tensors, metadata = read_weights(path, "text")
        self.heads = head_shapes(metadata)
        self._vectorizers = {name: self._restored(name) for name in ANALYSES}

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        """The likeliest level, as scikit-learn's own `predict` gives it."""
        head = examples[0].source.head
        terms, shape = _terms(self._vectorizers, examples), self.heads[head]
        weight, bias = (self._tensors[f"{head}.{part}"].numpy() for part in ("weight", "bias"))
        logits = np.stack([terms @ w.T + b for w, b in zip(weight, bias, strict=True)], axis=1)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities = (powers / powers.sum(-1, keepdims=True)).astype(np.float32)
        if shape.is_one_axis:
            probabilities = probabilities[:, 0]
        return Ratings(probabilities, np.zeros((len(examples), 0), np.float32), probabilities.argmax(-1))

    def _restored(self, name: str) -> TfidfVectorizer:
        vectorizer = _vectorizer(name, vocabulary=json.loads(text_of(self._tensors[f"{name}.terms"])))
        vectorizer.idf_ = self._tensors[f"{name}.idf"].numpy()
        return vectorizer


def _vectorizer(name: str, **options: Any) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, **ANALYSES[name], **options)


def _terms(vectorizers: dict[str, TfidfVectorizer], examples: Sequence[Example]) -> Terms:
    """(N, F)."""
    from scipy.sparse import csr_array, hstack

    texts = [example_text(one) for one in examples]
    return csr_array(hstack([one.transform(texts) for one in vectorizers.values()]), dtype=np.float32)


def _regress(
    terms: Terms, severities: npt.NDArray[np.int64], levels: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weight (K, F) and bias (K,) on rows whose severity is known; levels never seen are out of reach."""
    from sklearn.linear_model import LogisticRegression

    weight, bias = np.zeros((levels, terms.shape[1]), np.float32), np.full(levels, -1e4, np.float32)
    known = severities != UNKNOWN
    seen = np.unique(severities[known])
    bias[seen] = 0.0
    if len(seen) > 1:
        model = LogisticRegression(class_weight="balanced", max_iter=300).fit(terms[known], severities[known])
        # With two levels scikit-learn keeps the log-odds of the second.
        weight[seen[-len(model.coef_) :]], bias[seen[-len(model.coef_) :]] = model.coef_, model.intercept_
    return weight, bias
