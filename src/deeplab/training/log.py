"""What a run did, for machines: one JSON object a line, and scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deeplab.files import check_kept
from deeplab.json_lines import append_line

LOG = "log.jsonl"

Log = Callable[..., None]
"""Takes facts by keyword: a ``stage`` and an ``iteration`` among them, and numbers."""


def open_log(folder: Path, *, tensorboard: bool = False) -> Log:
    """Return a `Log` that appends to ``log.jsonl`` in a run's folder, and to ``tensorboard/`` if asked.

    The function raises an OutputError when the file cannot be written.

    Raises:
        ModuleNotFoundError: TensorBoard is asked for and not installed.
        OutputError: the file is a link, or may not be written.
    """
    path = folder / LOG
    check_kept(path)
    writer = None
    if tensorboard:
        from torch.utils.tensorboard import SummaryWriter  # needs the extra of that name

        writer = SummaryWriter(folder / "tensorboard")

    def log(**facts: Any) -> None:
        append_line(path, facts)
        if writer is not None:
            for name, value in facts.items():
                if name not in ("stage", "iteration"):
                    writer.add_scalar(f"{facts['stage']}/{name}", value, facts["iteration"])
            writer.flush()

    return log
