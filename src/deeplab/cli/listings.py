"""``deeplab variants``, ``deeplab models`` and ``deeplab recipes``: what there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from deeplab.cli.options import extra

recipes = typer.Typer(invoke_without_command=True)


def variants() -> None:
    """Print the paper's networks: what tells them apart, their size and what they see."""
    from deeplab.network.variants import VARIANTS

    columns = (
        "name",
        "network",
        "fc6 kernel",
        "input stride",
        "channels",
        "parameters",
        "field of view",
        "receptive field",
        "scores at 513",
    )
    rows = [
        (
            name,
            variant.title,
            f"{variant.fc6_kernel}x{variant.fc6_kernel}",
            f"{variant.fc6_dilation}",
            f"{variant.fc_channels}",
            f"{variant.parameters():,}",
            f"{variant.field_of_view_px} px",
            f"{variant.receptive_field_px} px",
            f"{variant.score_map_size(513)}x{variant.score_map_size(513)}",
        )
        for name, variant in VARIANTS.items()
    ]
    _print_table([columns, *rows])


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@recipes.callback()
def list_recipes(context: typer.Context) -> None:
    """List the training recipes that come with deeplab; `deeplab recipes show NAME` prints one."""
    if context.invoked_subcommand is not None:
        return
    with extra("train"):
        from deeplab.training.recipe_files import find_recipe, load_recipe, recipe_names

    rows = [("name", "network", "starts from", "iterations", "photos")]
    for name in recipe_names():
        recipe = load_recipe(find_recipe(name))
        solvers = [recipe.warm_up.solver] if recipe.warm_up else []
        steps = " + ".join(f"{solver.iterations:,} x {solver.batch}" for solver in (*solvers, recipe.solver))
        sources = dict.fromkeys(f"{source.path} {source.split}".removesuffix(" all") for source in recipe.data)
        rows.append((name, recipe.network.title, recipe.start, steps, ", ".join(sources)))
    _print_table(rows)


@recipes.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe's name, or a YAML file of yours.")],
) -> None:
    """Print a recipe whole: all that it takes from others, and every default."""
    with extra("train"):
        from deeplab.training.recipe_files import find_recipe, whole_recipe
    print(whole_recipe(find_recipe(name)), end="")


def models() -> None:
    """List the shipped models, each with its labels and model card."""
    from deeplab.models import shipped_models
    from deeplab.runtime import ScoreNetwork

    for name, path in shipped_models().items():
        info = ScoreNetwork(path, threads=1).info
        print(f"{name}: {info.variant}, {len(info.label_set)} classes, {path.stat().st_size / 1e6:.1f} MB")
        print(f"  labels: {', '.join(info.label_set.names)}")
        for key, value in info.card.items():
            print(f"  {key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
