"""Recipes: everything a training run depends on, as one small YAML file checked key by key."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from deeplab.errors import DeepLabError, InputError
from deeplab.network.variants import Variant, find_variant

__all__ = ["Recipe", "Solver", "Source", "WarmUp", "load_recipe"]

SCORE_STRIDE = 8  # pixels


@dataclass(frozen=True)
class Source:
    """One part of the training or validation photos.

    Attributes:
        reader: a layout of `deeplab.data.readers.READERS`.
        path: the data set's folder, below the data folder given at the start.
        split: the part of it, e.g. ``train_aug``.
        photos: use the first so many only; 0 for all.
    """

    reader: str
    path: str
    split: str = "all"
    photos: int = 0

    def __post_init__(self) -> None:
        if self.photos < 0:
            raise InputError(f"photos must be 0 (all) or more, got {self.photos}")


@dataclass(frozen=True)
class Solver:
    """How weights move. The defaults are the authors' settings (section 5 of the paper and their solver files).

    Attributes:
        iterations: number of updates.
        batch: photos an update; `micro_batch` of them are in memory at a time.
        method: ``"caffe_sgd"`` (momentum with the rate inside the history) or ``"adamw"``.
        schedule: ``"step"`` (times `gamma` every `step_iterations`) or ``"poly"`` ((1 - t/T) ** `power`).
        classifier_rate, bias_rate: learning-rate multipliers of the last layer and of biases. Biases never decay.
        frozen: beginnings of the names of layers that stay as they are, e.g. ``conv1``.
        loss: ``"mean"`` over the batch's valid positions (the authors' code) or their ``"sum"`` (the paper's text).
    """

    iterations: int = 6000
    batch: int = 20
    micro_batch: int = 5
    method: Literal["caffe_sgd", "adamw"] = "caffe_sgd"
    learning_rate: float = 0.001
    schedule: Literal["step", "poly"] = "step"
    step_iterations: int = 2000
    gamma: float = 0.1
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 0.0005
    classifier_rate: float = 10.0
    bias_rate: float = 2.0
    frozen: tuple[str, ...] = ()
    loss: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "micro_batch", "step_iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise InputError(f"{entry.name} must be a finite number, 0 or more, got {value}")
        if self.batch % self.micro_batch:
            raise InputError(f"batch must be a multiple of micro_batch, got {self.batch} and {self.micro_batch}")


@dataclass(frozen=True)
class WarmUp:
    """Training of fc6 to fc8 alone on stored trunk features, before the network proper: a deviation from the paper.

    It stands in for the ImageNet weights of fc6 and fc7 where a source has none.

    Attributes:
        solver: how the head's weights move.
        crops_per_photo: how many random crops of each photo go through the trunk.
    """

    solver: Solver
    crops_per_photo: int = 1

    def __post_init__(self) -> None:
        if self.crops_per_photo < 1:
            raise InputError(f"crops_per_photo must be at least 1, got {self.crops_per_photo}")


@dataclass(frozen=True)
class Recipe:
    """A training run, whole.

    Attributes:
        name: of the run and of the model it makes; it becomes a file's name.
        variant: a name in `deeplab.network.variants.VARIANTS`.
        data: the training photos, all alike in their label set.
        validation: photos scored without CRF while training, or None.
        validate_every: iterations between validations; 0 for the end of a stage only.
        solver: the main stage.
        warm_up: the stage before it, or None.
        pooling: ``"caffe"``, the authors' configuration of the variant, or ``"paper"``, plain VGG pools.
        channels: which channels of a source's wider fc6 and fc7 are kept: ``"even"``, every (wide / narrow)-th, or
            ``"random"``, drawn with `seed`. The paper does not say which ones its authors kept.
        crop_px: side of the training crops, 8n + 1 (306 for the base network).
        precision: ``"bf16"`` (autocast; weights stay float32) or ``"fp32"``.
        seed: of initialisation, channels drawn, order, crops and dropout.
    """

    name: str
    variant: str
    data: tuple[Source, ...]
    solver: Solver
    warm_up: WarmUp | None = None
    validation: Source | None = None
    validate_every: int = 0
    pooling: Literal["caffe", "paper"] = "caffe"
    channels: Literal["even", "random"] = "even"
    crop_px: int = 321
    precision: Literal["bf16", "fp32"] = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name or self.name in ("", "..", "state"):
            raise InputError(f"name must be a file's name without a folder, and not 'state', got {self.name!r}")
        if self.validate_every < 0:
            raise InputError(f"validate_every must be 0 (the end of a stage only) or more, got {self.validate_every}")
        if not self.data:
            raise InputError("a recipe needs at least one source of data")
        cells = math.ceil(self.crop_px / SCORE_STRIDE)
        if self.crop_px < 9 or self.network.score_map_size(self.crop_px, training=True) != cells:
            raise InputError(
                f"crop_px {self.crop_px} does not fit the score map of {self.network.title}; "
                f"give 8n + 1, such as {8 * max(cells - 1, 1) + 1}"
            )

    @property
    def network(self) -> Variant:
        """The network to train."""
        variant = find_variant(self.variant)
        return variant.with_paper_pooling() if self.pooling == "paper" else variant

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values, for checkpoints and model cards."""
        return asdict(self)


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        InputError: the file is missing or no YAML, a key is unknown (the nearest valid one is named) or missing, or a
            value has the wrong type or is out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read recipe {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    try:
        recipe: Recipe = _build(Recipe, content, "the recipe")
    except DeepLabError as error:
        raise InputError(f"{path}: {error}") from None
    return recipe


def _build(kind: Any, value: Any, where: str) -> Any:
    """Check `value` against a type and convert it: dataclasses, tuples, literals, optionals and scalars."""
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _build(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list, got {value!r}")
        return tuple(_build(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{where} must be one of {', '.join(get_args(kind))}, got {value!r}")
        return value
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-4 as text
        except (TypeError, ValueError):
            pass
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputError(f"{where} must be {'a number' if kind is float else f'of type {kind.__name__}'}, got {value!r}")


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, got {value!r}")
    known = {entry.name: entry for entry in fields(kind)}
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0)
            raise InputError(f"{where} has an unknown key {key!r}; did you mean {near[0]!r}?")
    for name, entry in known.items():
        if name not in value and entry.default is MISSING:
            raise InputError(f"{where} lacks the key {name!r}")
    hints = get_type_hints(kind)
    return kind(**{str(key): _build(hints[str(key)], item, f"{where}.{key}") for key, item in value.items()})
