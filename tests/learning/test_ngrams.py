"""N-grams of token sequences are counted as a reader of the text would count them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from capitoline.modalities.language.ngrams import SIZES, Counts, NGrams
from capitoline.modalities.language.vocabulary import Vocabulary
from capitoline.modalities.language.wide import inverse_frequencies, tfidf

BITS = 24
"""So many buckets that the few n-grams of these texts do not meet by chance."""

TEXTS = (
    "The cat's pyjamas: a FILM!! a film",
    "naïve  café\n\tßtraße — 9 to 5",
    "x",
    "",
    "  \n ",
    "don't stop...don't",
    "a film",
)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.whole()


def _counted(vocabulary: Vocabulary, texts: tuple[str, ...]) -> Counts:
    return NGrams(vocabulary.spellings(), BITS)([vocabulary.encode(text) for text in texts])


def _spelt_out(text: str) -> Counter[tuple[str, ...]]:
    """The same counts from the text: letters of words with a space around, words, pairs of words."""
    lowered = text.encode().translate(bytes(range(256)).lower()).decode("latin-1")
    words = re.findall(r"[a-z0-9\x80-\xff]+|[^\x00-\x20a-z0-9\x80-\xff]", lowered)
    padded = [f" {word} " for word in words]
    letters = [(one[at : at + size],) for one in padded for size in SIZES for at in range(len(one) - size + 1)]
    return Counter([*letters, *(("word", one) for one in words), *pairwise(words)])


@pytest.mark.parametrize("text", TEXTS)
def test_each_text_has_the_counts_that_a_reader_finds(vocabulary: Vocabulary, text: str) -> None:
    assert sorted(_counted(vocabulary, (text,)).counts.tolist()) == sorted(_spelt_out(text).values())


def test_a_text_has_the_same_ngrams_wherever_it_lies_in_a_batch(vocabulary: Vocabulary) -> None:
    together = _counted(vocabulary, TEXTS)
    for row, text in enumerate(TEXTS):
        alone, own = _counted(vocabulary, (text,)), together.owners == row
        np.testing.assert_array_equal(together.buckets[own], alone.buckets)
        np.testing.assert_array_equal(together.counts[own], alone.counts)


def test_equal_ngrams_of_two_texts_share_a_bucket_and_others_do_not(vocabulary: Vocabulary) -> None:
    counts = _counted(vocabulary, (TEXTS[0], TEXTS[-1]))
    first, last = (set(counts.buckets[counts.owners == row].tolist()) for row in (0, 1))
    assert len(first & last) == len(_spelt_out(TEXTS[0]).keys() & _spelt_out(TEXTS[-1]).keys())


def test_how_a_text_was_cut_into_tokens_changes_nothing(vocabulary: Vocabulary) -> None:
    ngrams = NGrams(vocabulary.spellings(), BITS)
    text = "An unforgettable thriller"
    spelt = np.array([byte + 1 for byte in text.encode()], np.int64)
    np.testing.assert_array_equal(ngrams([spelt]).buckets, ngrams([vocabulary.encode(text)]).buckets)


def test_values_are_those_of_scikit_learn(vocabulary: Vocabulary) -> None:
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = _counted(vocabulary, TEXTS)
    places, columns = np.unique(counts.buckets, return_inverse=True)
    table = csr_array((counts.counts, (counts.owners, columns)), (len(TEXTS), len(places)))
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(table)
    idf = np.zeros(1 << BITS, np.float32)
    idf[places] = inverse_frequencies(np.bincount(columns), len(TEXTS), 1)
    values = tfidf(counts, idf, len(TEXTS))
    np.testing.assert_allclose(
        csr_array((values, (counts.owners, columns)), table.shape).toarray(), expected.toarray(), atol=1e-6
    )
