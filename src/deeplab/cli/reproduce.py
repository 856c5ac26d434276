"""``deeplab reproduce``: the paper's tables and figures by one command."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ThreadsOption, extra
from deeplab.errors import InputError
from deeplab.files import alone_in, make_folder
from deeplab.progress import reporter


def reproduce(
    benchmark: Annotated[str, typer.Argument(metavar="camvid|voc2012", help="The data set.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that holds camvid/ or voc2012/.")],
    variants: Annotated[
        str,
        typer.Option(
            metavar="A,B,…", help="The networks, the one to compare others with first; if not given, as said above."
        ),
    ] = "",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="VGG-16 to train from; without it nothing is trained.")
    ] = None,
    trained: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A trained network: .safetensors, .onnx or a shipped model's name."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="For all that is made; reproduce-… if not given."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Try every step in minutes; the figures mean nothing.")
    ] = False,
    smart: Annotated[
        bool, typer.Option("--smart", help="Let Optuna propose the CRF's settings: a fraction of the grid's runs.")
    ] = False,
    photos: Annotated[
        bool, typer.Option(help="Show photos and true masks; leave them out of a report that is passed on.")
    ] = True,
    recipes: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Training recipes NAME-camvid and NAME-voc; if not given, deeplab's own."),
    ] = Path(),
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of photos and of intervals.")] = 0,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="For training, as in `deeplab train`.")] = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Make the paper's tables and figures: train, store scores, search the CRF's parameters, evaluate, report.

    Networks not named: with --weights largefov, msc-largefov and fcn8s; without, those given and those shipped.

    What was stopped goes on when started again with the same -o; steps with unchanged inputs are not done again.

    Examples:
        deeplab reproduce camvid --data data --quick
        deeplab reproduce voc2012 --data data --weights vgg16.npz -o pages
    """
    with extra("train"):
        from deeplab.reproduce.benchmarks import FULL, QUICK, find_benchmark
        from deeplab.reproduce.pipeline import reproduce as run
        from deeplab.reproduce.plan import make_plan

    if smart:
        with extra("search"):
            import_module("optuna")  # said before hours of training
    found = find_benchmark(benchmark)
    folder = output or Path(f"reproduce-{found.name}{'-quick' if quick else ''}")
    with extra("train"):
        plan = make_plan(
            found, data, folder, QUICK if quick else FULL,
            variants=[name.strip() for name in variants.split(",") if name.strip()],
            trained=dict(_named(entry) for entry in trained or ()),
            weights=weights, recipe_folder=recipes, seed=seed, threads=threads, device=device, photos=photos,
            smart=smart,
        )  # fmt: skip
    make_folder(folder)
    with extra("train"), alone_in(folder), reporter() as out:
        page = run(plan, out.say, out.show)
        out.result(f"{page}: open it in a browser; {page.with_suffix('.json')} holds its figures")


def _named(entry: str) -> tuple[str, str]:
    name, separator, place = entry.partition("=")
    if not (name and separator and place):
        raise InputError(f"--trained {entry}: give NAME=FILE, e.g. largefov=runs/largefov-voc/largefov-voc.safetensors")
    return name, place
