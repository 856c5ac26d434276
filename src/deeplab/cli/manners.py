"""What every command does: -q, -v, completion of what it takes; and results as JSON where it offers them."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import logging
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from deeplab import __version__
from deeplab.cli.completion import completion_of
from deeplab.errors import DeepLabError, InputError
from deeplab.progress import Manner, manner

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object (docs/cli.md); all else goes to standard error.")
]
_QUIET = typer.Option("--quiet", "-q", help="Say nothing but results and errors.")
_VERBOSE = typer.Option("--verbose", "-v", help="Say versions, time and memory, and where an error arose.")
_SPOKEN_OF = ("numpy", "onnxruntime", "pillow", "torch")


def mannered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command -q and -v, and completion."""

    @wraps(command)
    def with_manners(*, quiet: bool, verbose: bool, **values: Any) -> None:
        if quiet and verbose:
            raise InputError("--quiet says less and --verbose more; give one of the two")
        before = manner.set(Manner(quiet, verbose))
        try:
            with _told(verbose):
                command(**values)
        finally:
            manner.reset(before)

    def without_value(name: str, option: Any) -> inspect.Parameter:
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
        )

    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    for each in parameters:
        told = each.annotation.__metadata__[0]
        told.autocompletion = completion_of(each.name, told.metavar)
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    more = [without_value("quiet", _QUIET), without_value("verbose", _VERBOSE)]
    with_manners.__signature__ = inspect.Signature([*keywords, *more])  # type: ignore[attr-defined]
    return with_manners


@contextmanager
def _told(verbose: bool) -> Iterator[None]:
    """Keep notes and logs back where little is to be said, or say what runs, how long, and where an error arose."""
    if manner.get().quiet:
        warnings.simplefilter("ignore")
        logging.disable(logging.INFO)
    if not verbose:
        yield
        return
    begun = time.perf_counter()
    print(", ".join([f"deeplab {__version__}", f"Python {platform.python_version()}", *_versions()]), file=sys.stderr)
    try:
        yield
    except DeepLabError:
        traceback.print_exc()
        raise
    finally:
        print(f"took {time.perf_counter() - begun:.1f} s{_memory()}", file=sys.stderr)


def _versions() -> Iterator[str]:
    for name in _SPOKEN_OF:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _memory() -> str:
    """Return in words how much memory this process had at most; "" where the system does not say."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return ""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", {most / (1 << 20 if sys.platform == 'darwin' else 1 << 10):.0f} MB of memory at most"


@contextmanager
def json_output(command: str, *, asked: bool) -> Iterator[dict[str, Any]]:
    """Yield a document whose ``result`` and ``errors`` the block fills, and print it at the end if `asked`.

    Standard output is then the document's alone. An error that ends the block stands in it too.
    """
    document: dict[str, Any] = {"deeplab": __version__, "command": command, "result": None, "errors": []}
    if not asked:
        yield document
        return
    before = manner.set(manner.get()._replace(data=True))
    try:
        yield document
    except DeepLabError as error:
        document["errors"].append(str(error))
        raise
    except KeyboardInterrupt:
        document.clear()
        raise
    finally:
        manner.reset(before)
        if document:
            print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
