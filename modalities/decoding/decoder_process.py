"""The process in which untrusted bytes are decoded: `python -m capitoline.modalities.decoding.decoder_process`.

Reads lines from its standard input, first the limits, then batches of items, and answers
each item on its standard output as soon as it is decoded. Ends with its standard input.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import BinaryIO

from capitoline.modalities.decoding.confined import confine, limited
from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.decoding.wire import READY, dump_decoded, load_items, load_limits


def main() -> None:
    """Decodes until its standard input ends."""
    answers = _own_output()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the guard too, which closes this process in order
    limits, sampling = load_limits(sys.stdin.buffer.readline())
    confine(limits.decoder_memory_bytes)
    decoder = Decoder(limits, sampling)
    answers.write(READY)
    answers.flush()
    try:
        for line in sys.stdin.buffer:
            _answer(line, decoder, answers)
    except BrokenPipeError:
        os._exit(0)  # the guard is gone; nothing is left to flush to


def _own_output() -> BinaryIO:
    """Standard output for answers alone: whatever a library prints goes where errors go."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 20)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _answer(line: bytes, decoder: Decoder, answers: BinaryIO) -> None:
    items, digest_only = load_items(line)
    for item in items:
        started = time.process_time()
        with limited(decoder.limits.item_seconds):
            decoded = decoder.digest(item) if digest_only else decoder.decode(item)
        for chunk in dump_decoded(decoded, time.process_time() - started):
            answers.write(chunk)
        answers.flush()


if __name__ == "__main__":
    main()
