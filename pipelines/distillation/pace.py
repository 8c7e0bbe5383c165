"""Requests and tokens a minute: when the next request may go out."""

from __future__ import annotations

import threading
import time


class Pace:
    """Spaces the requests of all threads of one process; there are no bursts, so no minute holds too many."""

    def __init__(self, requests: float | None, tokens: float | None) -> None:
        """`requests` and `tokens` a minute; None: as many as there are."""
        self._request = 60.0 / requests if requests else 0.0
        self._token = 60.0 / tokens if tokens else 0.0
        self._next_request = self._next_token = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, tokens: int) -> None:
        """Sleeps until a request of about `tokens` may go out."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_request, self._next_token)
            self._next_request = start + self._request
            self._next_token = start + tokens * self._token
        time.sleep(start - now)

    def correct(self, tokens: int) -> None:
        """The last request took so many tokens more than foreseen; fewer if negative."""
        with self._lock:
            self._next_token += tokens * self._token

    def pause(self, seconds: float) -> None:
        """Nobody asks for so long: the server said so."""
        with self._lock:
            self._next_request = max(self._next_request, time.monotonic() + seconds)
