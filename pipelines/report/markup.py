"""HTML and SVG whose escaping cannot be forgotten: whatever is not `Markup` is escaped."""

from __future__ import annotations

from html import escape

from capitoline.pipelines.printable import printable

VOID = frozenset({"meta", "img", "input", "br"})
"""HTML elements without an end tag."""


class Markup(str):
    """Text that is HTML already. Only this file and the style sheet's reader make it."""

    __slots__ = ()


Child = str | int | float
Attribute = str | int | float | bool | None


def text(value: Child) -> Markup:
    """`value` as HTML text, safe inside an element and inside a quoted attribute."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(printable(f"{value:g}" if isinstance(value, float) else str(value)), quote=True))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element. Attributes are written `class_`, `text_anchor`; None and False leave one out, True is bare."""
    start = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        assert not children, f"<{name}> holds nothing"
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """The children one after another, each escaped unless it is markup."""
    return Markup("".join(text(child) for child in children))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(value)}"'
