"""``deeplab recipes``: those that come with deeplab, and one for data of one's own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.help import Command, Group
from deeplab.cli.listings import print_table
from deeplab.cli.manners import mannered
from deeplab.cli.options import ThreadsOption
from deeplab.progress import Reporter, reporter

recipes = typer.Typer(cls=Group, invoke_without_command=True, rich_markup_mode=None)

DeviceOption = Annotated[
    str, typer.Option(metavar="DEVICE", help="cpu, cuda, cuda:1 …, or auto: a GPU if there is one.")
]


@recipes.callback()
def list_recipes(context: typer.Context) -> None:
    """List the training recipes that come with deeplab; `show NAME` prints one, `new DATA` writes one for your data.

    Examples:
        deeplab recipes
        deeplab recipes show largefov-voc
        deeplab recipes new leaves > mine.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from deeplab.training.recipe_files import find_recipe, load_recipe, recipe_names

    rows = [("name", "network", "starts from", "iterations", "photos")]
    for name in recipe_names():
        recipe = load_recipe(find_recipe(name))
        solvers = [recipe.warm_up.solver] if recipe.warm_up else []
        steps = " + ".join(f"{solver.iterations:,} x {solver.batch}" for solver in (*solvers, recipe.solver))
        sources = dict.fromkeys(f"{source.path} {source.split}".removesuffix(" all") for source in recipe.data)
        rows.append((name, recipe.network.title, recipe.start, steps, ", ".join(sources)))
    print_table(rows)


@recipes.command("show", cls=Command)
@mannered
def show_recipe(
    recipe: Annotated[str, typer.Argument(metavar="NAME", help="A recipe's name, or a YAML file of yours.")],
) -> None:
    """Print a recipe whole: all that it takes from others, and every default.

    Examples:
        deeplab recipes show largefov-voc > mine.yaml
    """
    from deeplab.training.recipe_files import find_recipe, whole_recipe

    print(whole_recipe(find_recipe(recipe)), end="")


@recipes.command("new", cls=Command)
@mannered
def new_recipe(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The folder of labelled photos.")],
    hours: Annotated[float, typer.Option(metavar="H", help="How long the training is to take.")] = 1.0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Write a recipe for labelled photos of your own, with comments.

    It looks at every photo and mask, and measures for some seconds how fast this machine trains.

    Examples:
        deeplab recipes new leaves > mine.yaml
        deeplab recipes new leaves --hours 3 > mine.yaml
    """
    with reporter() as out:
        text = recipe_for(data, hours, device, threads, out)
    print(text, end="")


def recipe_for(data: Path, hours: float, device: str, threads: int | None, out: Reporter) -> str:
    """A recipe for a folder of labelled photos, as YAML text; what is wrong with them is said."""
    from deeplab.checks import thread_count
    from deeplab.training.new_recipe import check_hours, estimated_speed, write_recipe
    from deeplab.training.own_data import look_at

    check_hours(hours)
    found = look_at(data, threads=thread_count(threads), show=out.show)
    if found.report.problems:
        out.say(f"{data}: {len(found.report.problems)} problems; `deeplab check-data {data}` names them")
    if find_spec("torch") is None:
        return write_recipe(found, estimated_speed(threads), hours)
    import torch

    from deeplab.training.speed import measure_speed

    if threads is not None:
        torch.set_num_threads(threads)
    return write_recipe(found, measure_speed(len(found.label_set), device, out.show), hours)
