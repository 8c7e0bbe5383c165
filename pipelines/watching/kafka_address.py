"""Where a Kafka topic is, and how to be let in: the address on the command line, secrets in a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SCHEME = "kafka://"
FORM = "kafka://HOST:PORT[,HOST:PORT]/TOPIC?group=NAME"
GROUP = "capitoline"
"""The group's name where the address has none."""
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka allows."""
OURS = {"bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset"}
"""Properties that the address or exactly-once fixes."""


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """A topic of a cluster."""

    brokers: str
    """`host:port`, separated by commas: some of them, from which the client learns of the others."""
    topic: str
    group: str
    """Under which brokers are told what is in the output, for those who watch the lag."""

    @classmethod
    def parse(cls, url: str) -> KafkaAddress:
        """Raises ValueError for anything but `FORM`, and for a password in it."""
        parts = urlsplit(url)
        topic = parts.path.strip("/")
        options = parse_qs(parts.query, keep_blank_values=True)
        group = options.pop("group", [GROUP])
        if "@" in parts.netloc:
            raise ValueError(f"no secrets on a command line, which anyone can read: {FORM} and --kafka-properties FILE")
        named = parts.netloc and TOPIC.fullmatch(topic) and len(group) == 1 and group[0]
        if not named or options or parts.fragment:
            raise ValueError(f"{url} is no address of a topic: {FORM}")
        return cls(parts.netloc, topic, group[0])


def read_properties(path: Path | None) -> dict[str, str]:
    """The lines `name=value` of a properties file; `#` begins a comment.

    Raises:
        ValueError: there is no such file, a line is none, or it sets what is not to be set.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise ValueError(f"there is no file {path} with properties of Kafka")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError(f"{path}: a line of a properties file is `name=value`")  # the line may hold a secret
    properties = {name.strip(): value.strip() for name, _, value in pairs}
    if taken := sorted(OURS & properties.keys()):
        raise ValueError(f"{path} must not set {', '.join(taken)}: that is for the address and for `watch`")
    return properties
