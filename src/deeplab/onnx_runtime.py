"""ONNX Runtime, imported here and nowhere else: what it would tell its makers is switched off before it loads."""

from __future__ import annotations

import os
from types import ModuleType


def onnx_runtime() -> ModuleType:
    """Import and return the module `onnxruntime`, here because it takes 0.2 s.

    From 1.29 on, its builds leave a device id and a queue of events in the home folder, and send them. The variable
    stops both, if it is set before the import; the call stops what a program that imported the module before has
    begun, and Windows' event tracing.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # type: ignore[import-untyped]

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module
