"""The ``deeplab`` command. Each command is a few lines over functions elsewhere, imported when it runs."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deeplab.cli.check_data import check_data
from deeplab.cli.convert import convert
from deeplab.cli.crf_search import crf_search
from deeplab.cli.cutout import cutout
from deeplab.cli.download import download
from deeplab.cli.evaluate import evaluate
from deeplab.cli.help import WIDEST, Command, Group
from deeplab.cli.listings import models, variants
from deeplab.cli.manners import mannered
from deeplab.cli.masks_from_boxes import masks_from_boxes
from deeplab.cli.recipes import recipes
from deeplab.cli.refine import refine
from deeplab.cli.refine_volume import refine_volume
from deeplab.cli.reproduce import reproduce
from deeplab.cli.segment import segment
from deeplab.cli.serve import serve
from deeplab.cli.submit import submit
from deeplab.cli.teach import teach
from deeplab.cli.train import export, train
from deeplab.cli.verify import verify
from deeplab.errors import DeepLabError

__all__ = ["app", "main"]

_WELCOME = """Segment photos along their edges: DeepLab's network and fully connected CRF.

`deeplab COMMAND -h` says what a command takes, with examples.

Examples:
    deeplab segment cat.jpg                   a label map and an overlay, here
    deeplab segment photos -o results         a folder of photos
    deeplab refine cat.jpg --scores cat.npy   any model's scores, sharpened
    deeplab serve                             a page in the browser
    deeplab --install-completion              complete commands with the Tab key
"""

_COMMANDS = {
    "Photos and videos": (segment, cutout, refine, refine_volume, convert, serve),
    "Models": (models, verify, teach, export),
    "Labelled photos": (download, check_data, masks_from_boxes, evaluate, crf_search, submit),
    "The paper": (variants, recipes, train, reproduce),
}

app = typer.Typer(
    cls=Group,
    help=_WELCOME,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)

for title, commands in _COMMANDS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name="recipes", rich_help_panel=title)
        else:
            app.command(cls=Command, rich_help_panel=title)(mannered(command))


def main() -> None:
    """Run the command line; an expected error becomes one line on stderr and exit status 1."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about a photo's metadata; what matters raises
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed; nor shall a file of ours take its place
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (for good)
    if isinstance(sys.stdout, TextIOWrapper):  # of names that are no UTF-8, and of arrows where ASCII alone is written
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does
    warnings.formatwarning = lambda message, *_: f"note: {message}\n"
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except DeepLabError as error:
        _end(str(error))
    except BrokenPipeError:  # what reads the output has seen enough
        _end(None)
    except OSError as error:
        if error.filename is not None:
            raise
        _end(f"cannot write to standard output: {error.strerror}; make room, or send it elsewhere")


def _end(complaint: str | None) -> NoReturn:
    """End with status 1, and a complaint on stderr where there is one; whatever is wrong with the streams."""
    with suppress(OSError):
        if complaint is not None:
            print(f"error: {complaint}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # nor would what is left be written when the interpreter ends, which would say so in its own way
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from deeplab import __version__

        print(f"deeplab {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""
