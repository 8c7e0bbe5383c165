"""The World tokenizer equals the `rwkv` package's, byte for byte."""

from __future__ import annotations

import random
from importlib.resources import files

import pytest
from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

from capitoline.modalities.rwkv.tokenizer import WorldTokenizer


@pytest.fixture(scope="module")
def package() -> TRIE_TOKENIZER:
    return TRIE_TOKENIZER(str(files("rwkv").joinpath("rwkv_vocab_v20230424.txt")))


@pytest.fixture(scope="module")
def ours() -> WorldTokenizer:
    return WorldTokenizer()


def test_random_bytes_encode_as_in_the_rwkv_package(ours: WorldTokenizer, package: TRIE_TOKENIZER) -> None:
    source = random.Random(0)
    for _ in range(2_000):
        text = source.randbytes(source.randrange(80))
        assert ours.encode_bytes(text) == package.encodeBytes(text)


def test_random_text_encodes_as_in_the_rwkv_package(ours: WorldTokenizer, package: TRIE_TOKENIZER) -> None:
    source = random.Random(1)
    for _ in range(500):
        text = "".join(chr(source.choice((source.randrange(0x80), source.randrange(0xD800)))) for _ in range(60))
        assert ours.encode(text) == package.encode(text)
        assert ours.decode(ours.encode(text)) == text


def test_anything_decodes_to_what_was_encoded(ours: WorldTokenizer) -> None:
    everything = bytes(range(256)) * 3
    assert ours.decode_bytes(ours.encode_bytes(everything)) == everything
    assert ours.encode("") == []
    assert "�" in ours.decode(ours.encode("half a \ud83d"))


def test_an_id_outside_the_vocabulary_is_refused(ours: WorldTokenizer) -> None:
    with pytest.raises(ValueError, match="65535 is not a token"):
        ours.decode([65_535])
