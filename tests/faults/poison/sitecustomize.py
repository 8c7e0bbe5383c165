"""On the import path of a job, this ruins its decoder process over marked pictures: by a crash, a hang, or memory."""

from __future__ import annotations

import sys

if "capitoline.modalities.decoding.decoder_process" in sys.orig_argv:
    import ctypes
    import time
    from typing import Any

    from capitoline.modalities.decoding import picture

    def eat_memory() -> None:
        eaten = []
        while True:
            eaten.append(bytearray(64 << 20))

    TROUBLE = {
        b"SEGFAULT": lambda: ctypes.string_at(0),
        b"HANG....": lambda: time.sleep(1_000),
        b"MEMORY..": eat_memory,
    }
    honest = picture.read_picture

    def read_picture(data: bytes, *arguments: Any, **more: Any) -> Any:
        if data[-8:] in TROUBLE:
            TROUBLE[data[-8:]]()
        return honest(data, *arguments, **more)

    picture.read_picture = read_picture
