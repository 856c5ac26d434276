"""What several commands share: their options, and advice where an extra is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from deeplab.errors import InputError

__all__ = ["ModelOption", "ThreadsOption", "extra"]

ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="A shipped model (see `deeplab models`) or an .onnx file.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads to use; all cores if not given.")]


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package of the extra `name` into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this command needs {error.name}: run pip install '.[{name}]' in deeplab's folder") from None
