"""The World tokenizer equals the `rwkv` package's, byte for byte."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

from capitoline.modalities.rwkv.library import operator_available, operator_status
from capitoline.modalities.rwkv.tokenizer import WorldTokenizer, read_vocabulary
from capitoline.modalities.rwkv.trie import Cut, PrefixTable, cutter


@pytest.fixture(scope="module")
def package() -> TRIE_TOKENIZER:
    return TRIE_TOKENIZER(str(files("rwkv").joinpath("rwkv_vocab_v20230424.txt")))


@pytest.fixture(scope="module")
def ours() -> WorldTokenizer:
    return WorldTokenizer()


def test_both_searches_cut_random_bytes_as_the_rwkv_package(package: TRIE_TOKENIZER) -> None:
    source = random.Random(0)
    searches: list[Cut] = [cutter(read_vocabulary()), PrefixTable(read_vocabulary())]
    for _ in range(2_000):
        text = source.randbytes(source.randrange(80))
        assert all(cut(text) == package.encodeBytes(text) for cut in searches)


def test_random_text_encodes_as_in_the_rwkv_package(ours: WorldTokenizer, package: TRIE_TOKENIZER) -> None:
    source = random.Random(1)
    for _ in range(500):
        text = "".join(chr(source.choice((source.randrange(0x80), source.randrange(0xD800)))) for _ in range(60))
        assert ours.encode(text) == package.encode(text)
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.slow
def test_every_text_in_the_data_folder_encodes_as_in_the_rwkv_package(
    ours: WorldTokenizer, package: TRIE_TOKENIZER, data: Path
) -> None:
    texts = list(texts_of(data))
    assert len(texts) > 10_000
    assert all(ours.encode(text) == package.encode(text) for text in texts)


def test_encoding_is_five_times_as_fast_as_the_rwkv_package(
    ours: WorldTokenizer, package: TRIE_TOKENIZER, data: Path
) -> None:
    if not operator_available():
        pytest.skip(operator_status())
    texts = [text for text in texts_of(data, "davidson") if " " in text][:2_000]
    ratios = [seconds(package.encode, texts) / seconds(ours.encode, texts) for _ in range(5)]
    assert sorted(ratios)[2] >= 5


def seconds(encode: Callable[[str], list[int]], texts: list[str]) -> float:
    begin = time.thread_time()
    for text in texts:
        encode(text)
    return time.thread_time() - begin


def texts_of(data: Path, name: str = "*") -> Iterator[str]:
    """Every string in the labelled sets: texts, prompts, titles, descriptions."""
    for path in sorted(data.glob(f"{name}.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield from (value for value in json.loads(line).values() if isinstance(value, str))


def test_anything_decodes_to_what_was_encoded(ours: WorldTokenizer) -> None:
    everything = bytes(range(256)) * 3
    assert ours.decode_bytes(ours.encode_bytes(everything)) == everything
    assert ours.encode("") == []
    assert "�" in ours.decode(ours.encode("half a \ud83d"))


def test_an_id_outside_the_vocabulary_is_refused(ours: WorldTokenizer) -> None:
    with pytest.raises(ValueError, match="65535 is not a token"):
        ours.decode([65_535])
