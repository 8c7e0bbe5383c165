from __future__ import annotations

from pathlib import Path

import pytest
import torch

from capitoline.modalities import weights
from capitoline.modalities.weights import find_weights, read_metadata, read_weights, write_weights

METADATA = {"kind": "text", "labels": ["PG", "R"], "licence": "CC0 – with a dash"}


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2, dtype=torch.bfloat16)}
    write_weights(tmp_path / "w.safetensors", tensors, METADATA)
    read, metadata = read_weights(tmp_path / "w.safetensors", "text")
    assert metadata == METADATA
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_equal_weights_make_equal_files(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2)}
    write_weights(tmp_path / "1.safetensors", tensors, METADATA)
    write_weights(tmp_path / "2.safetensors", dict(reversed(tensors.items())), METADATA)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_weights_can_be_read_by_whoever_can_read_what_lies_beside_them(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, METADATA)
    (tmp_path / "w.md").write_text("card", encoding="utf-8")
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "w.md").stat().st_mode


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, METADATA)
    with pytest.raises(ValueError, match="kind 'text' where 'image' is needed"):
        read_weights(tmp_path / "w.safetensors", "image")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04pickle", b"\xff" * 64])
def test_a_file_that_is_no_weight_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        read_metadata(tmp_path / "w.safetensors")


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="was not written by"):
        read_metadata(tmp_path / "w.safetensors")


def test_an_unknown_name_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no weights 'txet'.*text"):
        find_weights("txet")


def test_shipped_weights_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    write_weights(tmp_path / "text.safetensors", {"a": torch.ones(1)}, METADATA)
    (tmp_path / "checksums.json").write_text('{"text.safetensors": "0"}')
    with pytest.raises(ValueError, match="is not the file that was shipped"):
        find_weights("text")


def test_every_shipped_file_has_its_checksum_and_its_card() -> None:
    names = sorted(path.stem for path in weights.SHIPPED.glob("*.safetensors"))
    assert names == ["image", "text", "trunk", "video", "window"]
    for name in names:
        assert find_weights(name).is_file()
        card = (weights.SHIPPED / f"{name}.md").read_text(encoding="utf-8")
        for source in read_metadata(find_weights(name))["sources"]:
            assert source["file"] in card
            assert source["licence"] in card


def test_shipped_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in weights.SHIPPED.glob("*.safetensors")) < 40e6
