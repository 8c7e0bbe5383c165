"""One request to a real server that misbehaves in every way it can."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from capitoline.pipelines.distillation.endpoint import ClosedError, Endpoint, RejectedError, UnservedError

from .conftest import Row, Serve

KEY = "sk-a-key-that-nobody-may-see"
REQUEST: dict[str, Any] = {
    "messages": [{"role": "system", "content": ""}, {"role": "user", "content": '{"text": "a"}'}]
}


def client(url: str, key: str = "", timeout: float = 10.0, response_bytes: int = 100_000) -> Endpoint:
    return Endpoint(url, key, timeout, response_bytes, connections=1)


def test_a_right_answer_arrives_with_the_key_in_the_header(serve: Serve) -> None:
    server = serve(key=KEY, otherwise=[{"label": "R"}])
    assert b"label" in client(server.url, KEY).post(REQUEST)


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        ({"status": 500}, UnservedError, "HTTP 500: scenario: 500"),
        ({"status": 503, "body": "<html>busy</html>"}, UnservedError, "busy"),
        ({"status": 400}, RejectedError, "HTTP 400"),
        ({"status": 404}, ClosedError, "HTTP 404"),
        ({"status": 403}, ClosedError, "HTTP 403"),
        ({"label": "R", "lacking": 10}, UnservedError, "IncompleteRead"),
        ({"label": "R", "blanks": 200_000}, UnservedError, "larger than the limit of 100,000 bytes"),
        ({"hang_up": True}, UnservedError, "ProtocolError"),
    ],
)
def test_each_failure_is_told_apart(serve: Serve, step: Row, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        client(serve(otherwise=[step]).url).post(REQUEST)


@pytest.mark.parametrize("step", [{"label": "R", "sleep": 5.0}, {"drip": 0.05}])
def test_silence_and_an_endless_trickle_both_end_in_time(serve: Serve, step: Row) -> None:
    server, started = serve(otherwise=[step]), time.monotonic()
    with pytest.raises(UnservedError):
        client(server.url, timeout=0.5).post(REQUEST)
    assert time.monotonic() - started < 2.0


def test_nobody_there_is_worth_another_attempt(serve: Serve) -> None:
    with pytest.raises(UnservedError, match="refused"):
        client("http://127.0.0.1:9/v1").post(REQUEST)


@pytest.mark.parametrize("after", ["7", "7.0", format_datetime(datetime.now(UTC) + timedelta(seconds=600))])
def test_how_long_to_wait_is_read_from_seconds_and_from_dates(serve: Serve, after: str) -> None:
    server = serve(otherwise=[{"status": 429, "headers": {"Retry-After": after}}])
    with pytest.raises(UnservedError) as caught:
        client(server.url).post(REQUEST)
    assert 5 < caught.value.wait <= (7 if after[0] == "7" else 600)


def test_nonsense_as_time_to_wait_is_no_wait(serve: Serve) -> None:
    for after in ("soon", "-3", "nan"):
        server = serve(otherwise=[{"status": 429, "headers": {"Retry-After": after}}])
        with pytest.raises(UnservedError) as caught:
            client(server.url).post(REQUEST)
        assert caught.value.wait == 0


def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else(serve: Serve) -> None:
    thief = serve(otherwise=[{"label": "PG"}])
    for status in (301, 302, 307, 308):
        server = serve(otherwise=[{"status": status, "headers": {"Location": f"{thief.url}/chat/completions"}}])
        with pytest.raises(ClosedError, match="redirects"):
            client(server.url, KEY).post(REQUEST)
    assert thief.requests() == []


def test_the_environment_s_proxy_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(otherwise=[{"label": "R"}])
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "elsewhere.invalid")
    assert b"label" in client("http://teacher.invalid/v1").post(REQUEST)
    with pytest.raises(UnservedError):
        client("http://elsewhere.invalid/v1", timeout=1).post(REQUEST)


def test_an_error_that_repeats_the_key_is_told_without_it(serve: Serve) -> None:
    with pytest.raises(ClosedError) as caught:
        client(serve(key="another", otherwise=[]).url, KEY).post(REQUEST)
    assert "wrong: Bearer [key]" in str(caught.value)
    assert KEY not in str(caught.value)
