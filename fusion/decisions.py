"""Moved to `capitoline.modalities.decisions`, where the voter can read it too."""

from capitoline.modalities.decisions import NOT_RATED, ArrayDecider, Decisions

__all__ = ["NOT_RATED", "ArrayDecider", "Decisions"]
