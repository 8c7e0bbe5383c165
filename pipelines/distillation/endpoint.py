"""One request to an OpenAI-compatible server: its answer's bytes, or why there are none.

The server is not trusted: a response has a limit of bytes and of time, is not unpacked, and a
redirect is not followed, so the key goes to the configured host and nowhere else. Whatever a
server says is freed of the key before anybody keeps it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import parse_url

CHUNK_BYTES = 65_536
EXCERPT = 200
"""Characters of a server's error that are kept."""
HIDDEN = "[key]"

_LATER = frozenset({408, 409, 425, 429, *range(500, 600)})
_FOR_THE_ROW = frozenset({400, 413, 415, 422})


class UnservedError(Exception):
    """No answer this time: the connection, the time, a limit, or a server that is busy or broken."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        """`wait`: the seconds that the server asks for."""
        super().__init__(reason)
        self.wait = wait


class RejectedError(Exception):
    """The server will never answer this request (too long, a picture it cannot read)."""


class ClosedError(Exception):
    """The server will answer no request: a wrong key, a wrong URL or model, a redirect."""


class Endpoint:
    """A client of one server, used by several threads."""

    def __init__(self, url: str, key: str, timeout: float, response_bytes: int, connections: int) -> None:
        """`timeout` in seconds, to connect and to the last byte; `key` may be empty."""
        self._url, self._key = f"{url}/chat/completions", key
        self._timeout, self._most = timeout, response_bytes
        self._pool = _manager(url, connections)

    def post(self, body: dict[str, Any]) -> bytes:
        """The body of a response of status 200.

        Raises:
            UnservedError: worth another attempt.
            RejectedError: this request is not.
            ClosedError: no request is.
        """
        deadline = time.monotonic() + self._timeout
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=json.dumps(body).encode(),
                headers=self._headers(),
                timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                data = self._read(response, deadline)
            finally:
                response.drain_conn() if response.length_remaining == 0 else response.close()
        except urllib3.exceptions.HTTPError as error:
            raise UnservedError(self.hidden(f"{type(error).__name__}: {error}")) from error
        self._check(response, data)
        return data

    def hidden(self, text: str) -> str:
        """`text` without the key."""
        return text.replace(self._key, HIDDEN) if self._key else text

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return {**headers, "Authorization": f"Bearer {self._key}"} if self._key else headers

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        data = bytearray()
        while chunk := response.read1(CHUNK_BYTES, decode_content=False):
            data += chunk
            if len(data) > self._most:
                raise UnservedError(f"the response is larger than the limit of {self._most:,} bytes")
            if time.monotonic() > deadline:
                raise UnservedError(f"the response took longer than {self._timeout:g} s")
        return bytes(data)

    def _check(self, response: urllib3.BaseHTTPResponse, data: bytes) -> None:
        status = response.status
        if status == HTTPStatus.OK:
            return
        said = self.hidden(f"HTTP {status}: {_message(data)}")
        if status in _LATER:
            raise UnservedError(said, _seconds(response.headers.get("Retry-After", "")))
        if status in _FOR_THE_ROW:
            raise RejectedError(said)
        if 300 <= status < 400:
            raise ClosedError(f"HTTP {status}: the server redirects, which is not followed; give the final URL")
        raise ClosedError(said)


def _manager(url: str, connections: int) -> urllib3.PoolManager:
    """Through the proxy that the environment names for this host, if any."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    if not proxy or proxy_bypass(parts.netloc):
        return urllib3.PoolManager(maxsize=connections, block=False)
    credentials = parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
    return urllib3.ProxyManager(proxy, maxsize=connections, block=False, proxy_headers=headers)


def _message(data: bytes) -> str:
    """What a server's error says: `{"error": {"message": …}}`, or the beginning of its body."""
    text = data.decode("utf-8", "replace")
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        text = str(json.loads(text)["error"]["message"])
    return " ".join(text.split())[:EXCERPT]


def _seconds(retry_after: str) -> float:
    """Seconds of a `Retry-After`, which is a number or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    with suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(retry_after).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return 0.0
