"""Which columns of a manifest mean what."""

from __future__ import annotations

from dataclasses import dataclass

MEDIA_COLUMNS = ("image", "audio", "video", "media", "file", "path", "poster")
"""Columns that hold paths of media where the user names none."""
_MEDIA_PARTS = ("image", "audio", "video", "media")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns for an item's id, text, tags and media; every other column is metadata."""

    id: str = "id"
    text: str = "text"
    tags: str = "tags"
    media: tuple[str, ...] = MEDIA_COLUMNS
    required: frozenset[str] = frozenset()
    """Columns the user named: a manifest without one is refused, for a misspelt name would rate less."""

    @classmethod
    def parse(cls, option: str) -> Columns:
        """Columns from `image=poster,tags=genres`.

        The left side is one of id, text, tags, image, audio, video, media; the last four may be
        repeated and all mean paths of media, whose kind their bytes tell.

        Raises ValueError for anything else.
        """
        named: dict[str, str] = {}
        media: list[str] = []
        for pair in filter(None, option.split(",")):
            part, _, column = (side.strip() for side in pair.partition("="))
            if part in _MEDIA_PARTS and column:
                media.append(column)
            elif part in ("id", "text", "tags") and column:
                named[part] = column
            else:
                raise ValueError(f"columns are given as `image=poster,tags=genres`; {pair!r} is none (parts: "
                                 f"id, text, tags, {', '.join(_MEDIA_PARTS)})")  # fmt: skip
        required = frozenset((*named.values(), *media))
        return cls(**named, media=tuple(media) or MEDIA_COLUMNS, required=required)
