"""``deeplab verify``: is a model file whole, and does it compute here what it should?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from deeplab.cli.options import ThreadsOption


def verify(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="A shipped model, a file or a folder.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Print instead what models/shipped.json needs to say of this file.")
    ] = False,
    threads: ThreadsOption = None,
) -> None:
    """Check a model file: its hash, whether it loads, and its scores of the example photos.

    Prints a line for each check; the exit status is 1 if one fails.

    Examples:
        deeplab verify
        deeplab verify leaves.onnx
    """
    from deeplab.models import DEFAULT_MODEL
    from deeplab.verify import record_model, verify_model

    if record:
        print(json.dumps(record_model(model or DEFAULT_MODEL), indent=2, ensure_ascii=False))
        return
    failed = False
    for check in verify_model(model, threads=threads):
        print("ok    " if check.passed else "FAILED", check.line, flush=True)
        failed |= not check.passed
    if failed:
        raise typer.Exit(1)
