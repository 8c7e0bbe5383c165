"""One way of opening ONNX models, shared by the encoder, the taggers and their tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_session(model: Path) -> InferenceSession:
    """An onnxruntime session on one thread that sleeps while it waits, on a GPU where there is one.

    Parallelism comes from processes, one a core. A session's own threads would compete with
    theirs, and spinning ones burn 1.8 times the CPU for nothing. A GPU is used if the package
    `onnxruntime-gpu` is installed in the place of `onnxruntime`, and if the process may see one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    providers = [one for one in ("CUDAExecutionProvider", "CPUExecutionProvider") if one in available]
    return onnxruntime.InferenceSession(str(model), options, providers=providers)
