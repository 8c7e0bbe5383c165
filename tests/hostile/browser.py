"""A real browser, headless: what it makes of a file, and whether the file made it do anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000",
         "--dump-dom")  # fmt: skip
SECONDS = 180
"""For a browser to start and end on a machine that is busy with anything else; usually two."""


def find_browser() -> str | None:
    """`CAPITOLINE_CHROMIUM`, else one that is installed (Debian's package is `chromium`)."""
    named = os.environ.get("CAPITOLINE_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Elements(HTMLParser):
    """The elements of a page as the browser wrote them out after it had read the file."""

    html: str
    names: set[str] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    """(name, value) of all elements."""
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def opened(page: Path, profile: Path) -> Elements:
    """What is in the page once a browser has opened it and run whatever it would."""
    browser = find_browser()
    assert browser is not None
    command = [browser, *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    ran = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    return Elements(ran.stdout.decode())


@contextmanager
def canary() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and the paths that somebody asked it for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
