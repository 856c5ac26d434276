"""The plan of a reproduction, checked before any work begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deeplab.errors import InputError, ModelError
from deeplab.labels import LabelSet
from deeplab.models import ModelInfo, find_model, shipped_models
from deeplab.network.variants import find_variant
from deeplab.reproduce.benchmarks import Benchmark, Effort
from deeplab.runtime import ScoreNetwork
from deeplab.training.recipe import Recipe
from deeplab.training.recipe_files import find_recipe, load_recipe

DEFAULT_VARIANTS = ("largefov", "msc-largefov", "fcn8s")
"""The networks that are trained where none are named: the paper's best, and the baseline."""


@dataclass(frozen=True)
class Plan:
    """A reproduction.

    Attributes:
        benchmark: the data set.
        data: the folder that recipes' paths start from; the benchmark's own folder lies in it.
        output: the folder for everything made.
        variants: the networks in order, each after those it starts from.
        effort: how much is done.
        given: trained networks by variant, ``.onnx`` or ``.safetensors``.
        recipes: those of the networks that are trained here, by variant.
        recipe_files: where they were read.
        weights: what training starts from.
        seed: of the choice of photos and of resampling.
        threads: at most this many; None: one a core.
        device: for training, as `deeplab.training.machine.Machine` has it.
        photos: whether photos and true masks are shown.
        smart: whether Optuna proposes the CRF's settings, in place of the paper's grid.
    """

    benchmark: Benchmark
    data: Path
    output: Path
    variants: tuple[str, ...]
    effort: Effort
    given: Mapping[str, Path] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    recipe_files: Mapping[str, Path] = field(default_factory=dict)
    weights: Path | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    photos: bool = True
    smart: bool = False


def make_plan(
    benchmark: Benchmark,
    data: Path,
    output: Path,
    effort: Effort,
    *,
    variants: Sequence[str] = (),
    trained: Mapping[str, str] | None = None,
    weights: Path | None = None,
    recipe_folder: Path = Path(),
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    photos: bool = True,
    smart: bool = False,
) -> Plan:
    """Decide what is trained and what is taken as it is, and check all of it.

    What `benchmark`, `data`, `output`, `effort`, `seed`, `threads`, `device`, `photos` and `smart` mean is said in
    `Plan`.

    Where no `variants` are named they are, with `weights`, `DEFAULT_VARIANTS`, else those given or shipped. `trained`
    names networks that are ready, by variant: a ``.safetensors`` checkpoint, an ``.onnx`` model file, or the name of a
    shipped model. Without `weights` nothing is trained, and shipped models of the benchmark's labels stand in as well.
    The recipes of the others are ``<variant>-<benchmark>`` in `recipe_folder`, the package's or one's own.

    Raises:
        InputError: a variant or recipe is unknown, or nothing says where a network comes from.
        ModelError: a network given is missing, damaged, of another variant or of other labels.
    """
    given = {} if weights else _shipped(benchmark.label_set)
    for name, place in (trained or {}).items():
        given[find_variant(name).name] = Path(place) if place.endswith(".safetensors") else find_model(place)
    wanted = [find_variant(name).name for name in dict.fromkeys(variants)]
    wanted = wanted or list(DEFAULT_VARIANTS if weights else given)
    if not wanted:
        raise InputError(
            f"no trained network for {benchmark.title}: give --weights FILE to train, or --trained NAME=FILE"
        )
    given = {name: path for name, path in given.items() if name in wanted}
    for name, path in given.items():
        _check_given(name, path, benchmark.label_set)
    missing = [name for name in wanted if name not in given]
    if missing and weights is None:
        raise InputError(f"{missing[0]} has to be trained: give --weights FILE, or --trained {missing[0]}=FILE")
    files = {name: _recipe_file(name, recipe_folder / f"{name}-{benchmark.recipes}") for name in missing}
    recipes = {name: _read_recipe(name, file, effort) for name, file in files.items()}
    return Plan(
        benchmark=benchmark,
        data=data,
        output=output,
        variants=_in_order(wanted, recipes, given),
        effort=effort,
        given=given,
        recipes=recipes,
        recipe_files=files,
        weights=weights,
        seed=seed,
        threads=threads,
        device=device,
        photos=photos,
        smart=smart,
    )


def _shipped(label_set: LabelSet) -> dict[str, Path]:
    """The shipped models of these labels, by variant."""
    infos = {path: ScoreNetwork(path, threads=1).info for path in shipped_models().values()}
    return {info.variant: path for path, info in infos.items() if info.label_set.names == label_set.names}


def _check_given(name: str, path: Path, label_set: LabelSet) -> None:
    variant, theirs = _describe(path)
    if variant != name:
        raise ModelError(f"{path} holds the network {variant!r}, not {name!r}; give --trained {variant}={path}")
    if theirs.names != label_set.names:
        raise ModelError(
            f"{path} knows the {len(theirs)} labels of {theirs.name!r} ({theirs.names[0]} …), but the data has the "
            f"{len(label_set)} of {label_set.name!r} ({label_set.names[0]} …); give a network trained on these"
        )


def _describe(path: Path) -> tuple[str, LabelSet]:
    """The variant and labels of a checkpoint or model file."""
    if path.suffix == ".safetensors":
        from deeplab.network.weights import load_checkpoint

        header = load_checkpoint(path)[1]
        return header.variant.name, header.label_set
    info: ModelInfo = ScoreNetwork(path, threads=1).info
    return info.variant, info.label_set


def _recipe_file(name: str, place: Path) -> Path:
    try:
        return find_recipe(place.as_posix())
    except InputError as error:
        raise InputError(f"{error}; or give --recipes DIR, or --trained {name}=FILE") from None


def _read_recipe(name: str, file: Path, effort: Effort) -> Recipe:
    recipe = load_recipe(file)
    if recipe.variant != name:
        raise InputError(f"{file} trains {recipe.variant!r}, not {name!r}; change its variant or its name")
    return recipe if effort.iterations is None else _shortened(recipe, effort.iterations)


def _shortened(recipe: Recipe, iterations: int) -> Recipe:
    """The same recipe with next to no work: a few iterations of two crops, of a few photos."""
    short = replace(recipe.solver, iterations=iterations, batch=2, micro_batch=1)
    warm_up = recipe.warm_up
    if warm_up is not None:
        warm_up_solver = replace(warm_up.solver, iterations=iterations, batch=2, micro_batch=2)
        warm_up = replace(warm_up, solver=warm_up_solver, crops_per_photo=1)
    return replace(
        recipe,
        data=tuple(replace(source, photos=4) for source in recipe.data),
        solver=short,
        warm_up=warm_up,
        validation=None if recipe.validation is None else replace(recipe.validation, photos=2),
        validate_every=0,
        validate_at=(),
    )


def _in_order(wanted: Sequence[str], recipes: Mapping[str, Recipe], given: Mapping[str, Path]) -> tuple[str, ...]:
    """The networks, each after the one that it starts from."""
    for name, recipe in recipes.items():
        base = find_variant(name).base_name
        if recipe.start != "checkpoint" or base == name:
            continue
        if base not in wanted:
            raise InputError(
                f"training {name} starts from a trained {base}: name {base} in --variants too, "
                f"or give --trained {base}=FILE"
            )
    pairs = ((find_variant(name).base_name, name) for name in wanted)
    return tuple(dict.fromkeys(name for pair in pairs for name in pair if name in wanted))
