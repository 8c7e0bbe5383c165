"""The linear half of a text head: logits of TF-IDF weighted n-grams, to be added to those of the trunk's half.

Legend:  B = sequences, A = axes of a head, K = its levels, N = n-grams of all sequences, F = buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from capitoline.modalities.language.ngrams import Counts, NGrams, Numbers

Array = npt.NDArray[np.float32]

IDF = "wide.idf"
"""In a weight file, the tensor (F,) of inverse document frequencies; 0 where too few training texts fell."""

HEADS = "wide.heads."
"""In a weight file, what the names of the heads' tensors (A × (K-1), F) begin with."""


class Wide:
    """What n-grams say to each head that has learned to ask them.

    Args:
        idf: (F,) inverse document frequencies of a power of two of buckets.
        weights: (A × (K-1), F), by head.
        spellings: the bytes of each token, by its id.

    Raises:
        ValueError: the tensors do not fit each other.
    """

    def __init__(self, idf: Array, weights: Mapping[str, Array], spellings: Sequence[bytes]) -> None:
        self._idf, self._weights = idf, weights
        bits = len(idf).bit_length() - 1
        if any(one.shape[1:] != (1 << bits,) for one in (idf[None], *weights.values())):
            raise ValueError("the heads' n-grams are not those that the file has frequencies for")
        self._ngrams = NGrams(spellings, bits)

    def __call__(self, sequences: Sequence[npt.NDArray[np.int64]], heads: Sequence[str]) -> dict[str, Array]:
        """Of those of `heads` that ask n-grams: (B, A × (K-1)) logits of B sequences of token ids."""
        asked = [head for head in heads if head in self._weights]
        if not asked:
            return {}
        counts = self._ngrams(sequences)
        values = tfidf(counts, self._idf, len(sequences))
        return {head: _product(self._weights[head], counts, values, len(sequences)) for head in asked}


def tfidf(counts: Counts, idf: Array, sequences: int) -> Array:
    """(N,) values (1 + log count) · idf, those of each sequence with a Euclidean norm of 1, or all 0."""
    values = (1 + np.log(counts.counts)) * idf[counts.buckets]
    squares = np.bincount(counts.owners, np.square(values), sequences)
    found: Array = (values / np.sqrt(np.maximum(squares, 1e-12))[counts.owners]).astype(np.float32)
    return found


def inverse_frequencies(frequencies: Numbers, texts: int, least: int) -> Array:
    """(F,) log((1 + texts) / (1 + frequency)) + 1, as scikit-learn smooths it; 0 where fewer than `least` have it."""
    idf = np.log((1 + texts) / (1 + frequencies)) + 1
    return np.where(frequencies >= least, idf, 0.0).astype(np.float32)


def _product(weight: Array, counts: Counts, values: Array, sequences: int) -> Array:
    """(A × (K-1), F) weights of sparse rows → (B, A × (K-1))."""
    terms = weight[:, counts.buckets] * values
    return np.stack([np.bincount(counts.owners, one, sequences) for one in terms], axis=1).astype(np.float32)
