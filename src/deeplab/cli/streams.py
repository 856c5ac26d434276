"""Standard input and output (``-``) and addresses of the web in the place of files on the command line.

And outputs that name a file in place of a folder.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.files import is_folder
from deeplab.progress import Reporter, Say
from deeplab.web import file_name, is_web

STREAM = "-"
"""Stands for standard input, or for standard output."""

_SUFFIXES = {b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz"}  # how a file of scores begins → what it is called
_ARRAY_SUFFIXES = frozenset((".npy", ".npz"))


class Streams(NamedTuple):
    """A command's inputs and output with files in place of streams.

    Attributes:
        inputs: the paths, in order.
        output: the path.
        to_stdout: whether the output is a stream.
        called: puts the names of streams and addresses in the place of files in a text.
        named: makes a reporter do so, and keep standard output clear where it is the result's.
    """

    inputs: list[str]
    output: Path
    to_stdout: bool
    called: Callable[[str], str]
    named: Callable[[Reporter], Reporter]


@contextmanager
def streams(inputs: Sequence[str], output: Path, *, fetch: bool = False) -> Iterator[Streams]:
    """Give the block files in place of each ``-``; a PNG that it leaves in the output's goes to standard output.

    With `fetch`, files at addresses of the web are read first.

    Raises:
        ImageError: an address cannot be read.
        InputError: two inputs are standard input.
        OutputError: the result would go to a terminal.
    """
    to_stdout = str(output) == STREAM
    if list(inputs).count(STREAM) > 1:
        raise InputError("standard input (-) is one file; give the other by its name")
    if to_stdout and sys.stdout.isatty():
        raise OutputError("the label map is a PNG, and no text for a terminal; send it elsewhere (> cat.png, | …)")
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "stdin", Path(folder) / "stdout.png"
        if STREAM in inputs:
            content = b"" if sys.stdin is None else sys.stdin.buffer.read()
            kind = (suffix for start, suffix in _SUFFIXES.items() if content.startswith(start))
            given = given.with_suffix(next(kind, ".png"))  # images are known by their content
            given.write_bytes(content)
        fetched = {path: _fetched(path, Path(folder) / "web") for path in inputs if fetch and is_web(path)}
        names = {str(given): "standard input", str(result): "standard output"}
        names |= {str(place): address for address, place in fetched.items()}
        called = partial(_with_names, names=names)
        try:
            yield Streams(
                [str(fetched.get(path, given if path == STREAM else path)) for path in inputs],
                result if to_stdout else output,
                to_stdout,
                called,
                partial(_named, called=called, to_stdout=to_stdout),
            )
        except DeepLabError as error:
            raise type(error)(called(str(error))) from None
        if to_stdout and result.exists():
            sys.stdout.buffer.write(result.read_bytes())


def _fetched(address: str, folder: Path) -> Path:
    """The file that holds what lies at an address, called as it is there."""
    from deeplab.batch.web import read_web

    folder.mkdir()
    path = folder / file_name(address)[-100:]
    path.write_bytes(read_web(address))
    return path


def names_file(output: Path) -> bool:
    """Tell whether an output is the name of a file in place of a folder's: of a picture, an array or a video."""
    from deeplab.images import PHOTO_SUFFIXES
    from deeplab.video import VIDEO_SUFFIXES

    return output.suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES | _ARRAY_SUFFIXES and not is_folder(output)


def _with_names(line: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        line = line.replace(path, name)
    return line


def _named(out: Reporter, called: Callable[[str], str], to_stdout: bool) -> Reporter:
    def saying(say: Say) -> Say:
        return lambda line: say(called(line))

    def error(error: Exception) -> None:
        out.error(type(error)(called(str(error))).with_traceback(error.__traceback__))

    return Reporter(saying(out.say if to_stdout else out.result), saying(out.say), out.show, error)
