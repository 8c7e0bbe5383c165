"""A server that speaks OpenAI's chat completions and does what a scenario says, in a process of its own.

    python chat_server.py SCENARIO.json LOG.jsonl

It prints its port. The scenario: `answers` (an item's text → steps, one a request, the last one
for ever), `otherwise` (the steps of every other item), `key` (which requests must bear), `delay`
(seconds before each answer). Each request is a line of the log.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Step = dict[str, Any]


class Scenario:
    """Which step is next for which item."""

    def __init__(self, scenario: dict[str, Any], log: Path) -> None:
        self.key, self.delay = scenario.get("key", ""), scenario.get("delay", 0.0)
        self._answers, self._otherwise = scenario.get("answers", {}), scenario.get("otherwise", [])
        self._asked: dict[str, int] = {}
        self._log, self._lock = log, threading.Lock()

    def step(self, body: dict[str, Any]) -> Step:
        text = shown(body)["text"]
        with self._lock:
            count = self._asked[text] = self._asked.get(text, 0) + 1
            with self._log.open("a", encoding="utf-8") as file:
                said = [one["content"] for one in body["messages"][2:]]
                line = {"text": text, "at": time.time(), "said": said, "content": body["messages"][1]["content"]}
                file.write(json.dumps(line) + "\n")
        steps: list[Step] = self._answers.get(text, self._otherwise)
        return steps[min(count, len(steps)) - 1]


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """The item in a request."""
    content = body["messages"][1]["content"]
    item: dict[str, Any] = json.loads(content if isinstance(content, str) else content[0]["text"])
    return item


def completion(step: Step) -> dict[str, Any]:
    said = json.dumps({"label": step["label"], "reason": step.get("reason", "as said")}) if "label" in step else None
    message = {"role": "assistant", "content": step.get("say", said), "refusal": step.get("refusal")}
    choices = step.get("choices", [{"index": 0, "message": message, "finish_reason": step.get("finish", "stop")}])
    return {"choices": choices, "usage": step.get("usage", {"prompt_tokens": 100, "completion_tokens": 20})}


def handler(scenario: Scenario) -> type[BaseHTTPRequestHandler]:
    class Chat(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if scenario.key and self.headers.get("Authorization") != f"Bearer {scenario.key}":
                return self._send(401, json.dumps({"error": {"message": f"wrong: {self.headers['Authorization']}"}}))
            step = scenario.step(body)
            time.sleep(step.get("sleep", scenario.delay))
            if step.get("hang_up"):
                self.close_connection = True
                return None
            if "drip" in step:
                return self._drip(step["drip"])
            if "status" in step:
                said = step.get("body", {"error": {"message": f"scenario: {step['status']}"}})
                return self._send(step["status"], json.dumps(said), step.get("headers", {}))
            text = step.get("raw", json.dumps(completion(step))) + " " * step.get("blanks", 0)
            return self._send(200, text, lacking=step.get("lacking", 0))

        def _send(self, status: int, text: str, headers: dict[str, str] | None = None, lacking: int = 0) -> None:
            data = text.encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(data[: len(data) - lacking])
            except OSError:
                return
            self.close_connection = bool(lacking)

        def _drip(self, pause: float) -> None:
            """A byte at a time, without end."""
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" ")
                    time.sleep(pause)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Chat


if __name__ == "__main__":
    served = Scenario(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    print(server.server_address[1], flush=True)
    server.serve_forever()
