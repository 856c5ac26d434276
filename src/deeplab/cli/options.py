"""What several commands share: options, output folders, jobs one by one, and advice where an extra is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from deeplab.crf.params import PARAMETERS
from deeplab.errors import DeepLabError, InputError
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.labels import LabelSet

ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="A shipped model (see `deeplab models`) or an .onnx file.")
]
ReaderOption = Annotated[
    str, typer.Option(metavar="LAYOUT", help="Its layout: voc, folder, coco …; the one that it has if not given.")
]
NamesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A names file; classes.txt in DIR, if any, if not given.")
]
CrowdsOption = Annotated[
    str, typer.Option(metavar="class|void|skip", help="What becomes of COCO's crowds; by their number if not given.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Threads to use; if not given, as $DEEPLAB_THREADS says, or all cores.")
]
RangeOption = Annotated[
    str | None, typer.Option("--range", metavar="LO,HI", help="The values of deep photos that are black and white.")
]
BandsOption = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="The bands of photos that are red, green, blue, from 1; or one.")
]
Job = TypeVar("Job")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package of the extra `name` into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this command needs {error.name}: run pip install '.[{name}]' in deeplab's folder") from None


def crf_options(before: str, **defaults: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the CRF's parameters as options, those of `CRFParams` by name.

    Args:
        before: the command's option that they stand before.
        defaults: of the options. The command's argument `params` gets their values by name, without those that have
            neither a default nor were given.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        options = [_crf_option(name, defaults.get(name)) for name in PARAMETERS if name != "iterations"]

        @wraps(command)
        def with_params(**values: Any) -> None:
            given = {option.name: values.pop(option.name) for option in options}
            command(**values, params={name: value for name, value in given.items() if value is not None})

        own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "params"]
        at = [each.name for each in own].index(before)
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own[:at], *options, *own[at:])]
        with_params.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_params

    return decorate


def _crf_option(name: str, default: float | None) -> inspect.Parameter:
    told = PARAMETERS[name]
    option = typer.Option(help=f"{told.symbol}: {told.help}.")
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[float | None, option]
    )


def percent(share: float) -> str:
    """Return a share of 0–1 in words."""
    return f"{100 * share:.1f} %" if share >= 0.0005 or share == 0 else "<0.1 %"


def read_label_set(name: str, *, in_order: bool = False) -> LabelSet:
    """Return a built-in label set by its name, or the one in a file: names one a line, JSON, or CVAT's.

    With `in_order`, a names file that gives masks other numbers than 0, 1, 2 … for its classes is refused.
    """
    from deeplab.data.cvat import LABEL_MAP, cvat_label_set
    from deeplab.data.names import read_names
    from deeplab.documents import read_json
    from deeplab.labels import LABEL_SETS, LabelSet

    if name in LABEL_SETS:
        return LABEL_SETS[name]
    path = Path(name)
    if path.name == LABEL_MAP:
        return cvat_label_set(path)
    if path.suffix.lower() != ".json":
        label_set, relabel = read_names(path, {}, by_name=False)
        labels = bytes(range(len(label_set)))
        if in_order and relabel[: len(label_set)] != labels:
            raise InputError(
                f"{path} says that masks store other numbers than 0–{len(labels) - 1} for its classes, and label maps "
                "may hold either; give a file of names alone, in the order of the label maps' numbers"
            )
        return label_set
    try:
        return LabelSet.from_dict(read_json(path))
    except InputError as error:
        raise InputError(f"{path}: {error}; expected JSON with name, names, palette and void") from None


def range_in(asked: str | None) -> tuple[float, float] | None:
    """Return the black and the white that `RangeOption` was given."""
    if asked is None:
        return None
    try:
        black, white = map(float, asked.split(","))
    except ValueError:
        raise InputError(f"expected --range LO,HI, black and white, such as 0,4095, got {asked!r}") from None
    return black, white


def bands_in(asked: str | None) -> tuple[int, ...] | None:
    """Return the bands that `BandsOption` was given."""
    if asked is None:
        return None
    try:
        return tuple(map(int, asked.split(",")))
    except ValueError:
        raise InputError(f"expected --bands R,G,B, or one band, such as 3,2,1, got {asked!r}") from None


def run_jobs(
    stage: str,
    plan: Sequence[Job | DeepLabError],
    run: Callable[[Job, Reporter], None],
    named: Callable[[Reporter], Reporter] = lambda out: out,
) -> list[DeepLabError]:
    """Run every job of a plan; what fails is reported and the others go on. Return what went wrong.

    Args:
        stage: what is done, for the progress.
        plan: the jobs; an error in the place of one is reported, before any runs.
        run: does a job; raises DeepLabError where it fails.
        named: gives files other names in what is said; see `deeplab.cli.streams`.
    """
    errors = []
    with reporter() as plain:
        out = named(plain)
        jobs = sorted(plan, key=lambda job: not isinstance(job, DeepLabError))
        for done, job in enumerate(jobs, start=1):
            try:
                if isinstance(job, DeepLabError):
                    raise job
                run(job, out)
            except DeepLabError as error:
                errors.append(error)
                out.error(error)
            out.show(stage, done, len(plan), "")
    return errors
