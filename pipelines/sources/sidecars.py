"""What stands beside a medium under its name: its prompt or caption, its tags, its metadata.

A sidecar is known by its name: `.txt`, `.text`, `.caption` and `.prompt` are text, `.tags` are
tags, `.json` may hold both, `.cls` (in a tar) is a class label. What its bytes show to be
something else, or what is too large, is no sidecar but a file of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from capitoline.modalities.decoding.kinds import Kind, kind_of
from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.decoding.plaintext import decode_text, unicode_encoding
from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import File
from capitoline.pipelines.sources.names import printable, unicode

SIDECAR_BYTES = 16 << 20
METADATA_CHARACTERS = 1_000
"""Of one metadata value; the rest is cut."""

TEXT_FIELDS = ("txt", "text", "caption", "prompt")
FIELDS = (*TEXT_FIELDS, "tags", "json")
TEXT_KEYS = ("prompt", "caption", "text", "description")
TAG_KEYS = ("tags", "keywords")
NESTED_KEYS = ("meta", "metadata")
"""Objects inside a sidecar that are read as if their keys stood outside, as generators' sites nest them."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What sidecars or a manifest's row say about a medium."""

    text: str | None = None
    tags: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def read_sidecar(file: File, extension: str) -> tuple[Annotation, bool]:
    """What a sidecar says, and whether the file must also be an item of its own.

    A broken or unreadable one is a problem of the medium that it belongs to: its prompt is missing.
    """
    if file.size > SIDECAR_BYTES:
        return Annotation(problem=f"the sidecar {file.name} has more than {SIDECAR_BYTES} bytes"), True
    try:
        data = read_file(file, SIDECAR_BYTES)
        if extension == "json":
            return _from_json(data), False
        guess = kind_of(data)
        if guess.kind is not Kind.TEXT:
            return Annotation(), True
        text, _ = decode_text(data, guess.format, SIDECAR_BYTES)
    except NotASidecarError:
        return Annotation(), True
    except (UndecodableError, ValueError, RecursionError) as error:
        return Annotation(problem=f"the sidecar {file.name} cannot be read: {error}"), False
    return _from_text(text.strip(), extension), False


class NotASidecarError(ValueError):
    """The bytes are sound and are not what a sidecar of that name holds."""


def combined(annotations: Iterable[Annotation]) -> Annotation:
    """One annotation with all texts, each once, on lines of their own."""
    known = list(annotations)
    texts = dict.fromkeys(one.text for one in known if one.text)
    tags = dict.fromkeys(tag for one in known for tag in one.tags or ())
    return Annotation(
        "\n".join(texts) or None,
        tuple(tags) or None,
        {key: value for one in known for key, value in one.metadata.items()},
        "; ".join(one.problem for one in known if one.problem),
    )


def split_tags(value: object) -> tuple[str, ...]:
    """Tags of a list (of strings, or objects with a name) or of a string split at commas, semicolons and bars."""
    parts = value if isinstance(value, list | tuple) else re.split(r"[,;|\n]", str(value or ""))
    names = (str(one.get("name") or one.get("tag") or "") if isinstance(one, dict) else str(one) for one in parts)
    return tuple(dict.fromkeys(unicode(name.strip()) for name in names if name.strip()))


def metadata_value(value: object) -> str:
    """A metadata column's value as bounded text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return unicode(text[:METADATA_CHARACTERS])


def _from_text(text: str, extension: str) -> Annotation:
    if extension == "tags":
        return Annotation(tags=split_tags(text))
    if extension in TEXT_FIELDS:
        return Annotation(text=unicode(text) or None)
    return Annotation(metadata={extension: metadata_value(text)})


def _from_json(data: bytes) -> Annotation:
    if unicode_encoding(data) is None:
        raise NotASidecarError
    found = json.loads(data)
    if not isinstance(found, dict):
        raise NotASidecarError
    values = _flat(found)
    texts = [str(values[key]).strip() for key in TEXT_KEYS if isinstance(values.get(key), str)]
    tags = [tag for key in TAG_KEYS for tag in split_tags(values.get(key))]
    metadata = {
        printable(key): metadata_value(value)
        for key, value in values.items()
        if key not in (*TEXT_KEYS, *TAG_KEYS) and value is not None
    }
    return Annotation(unicode("\n".join(dict.fromkeys(texts))) or None, tuple(tags) or None, metadata)


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """The object's keys in lower case, those of nested ones behind its own, which win."""
    nested = [value for key, value in found.items() if key.lower() in NESTED_KEYS and isinstance(value, dict)]
    own = {key: value for key, value in found.items() if not (key.lower() in NESTED_KEYS and isinstance(value, dict))}
    return {str(key).lower(): value for one in (*nested, own) for key, value in one.items()}
