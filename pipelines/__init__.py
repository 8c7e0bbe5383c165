"""Jobs: the graph, its lowerings on one process or Ray, the results, the command line.

from capitoline.pipelines import rate

summary = rate("photos/", out="results")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capitoline.pipelines.rating import rate, rate_request

__all__ = ["rate", "rate_request"]


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `capitoline --help` does not wait for Arrow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from capitoline.pipelines import rating

    return getattr(rating, name)
