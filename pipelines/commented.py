"""Settings as YAML whose comments are the settings' own docstrings: a file to start from."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

WIDTH = 110


def commented_yaml(settings: BaseModel) -> str:
    """YAML that loads as `settings`, each key under a comment that says what it is."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(settings: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        about = field.description or (type(value).__doc__ if isinstance(value, BaseModel) else "") or ""
        if get_origin(field.annotation) is Literal and len(choices := get_args(field.annotation)) > 1:
            about += f" One of {', '.join(choices)}."
        yield from (f"{indent}# {line}" for line in wrap(" ".join(about.split()), WIDTH - len(indent)))
        yield from _key(name, value, indent)


def _key(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield f"{indent}{name}:"
        yield from _lines(value, indent + "  ")
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        yield f"{indent}{name}:"
        for one in value:
            yield f"{indent}  -"
            yield from _lines(one, indent + "    ")
    else:
        yield f"{indent}{name}: {_scalar(list(value) if isinstance(value, tuple) else value)}"


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1_000)
    return text.removesuffix("...\n").strip()
