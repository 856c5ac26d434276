"""The parameters of the DeepLab CRF, five numbers or what was learnt of each label, and how its inference runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_choice, check_count, check_number
from deeplab.crf.checks import as_array, check_energies, check_label_count, check_real
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.levels import Deviations, check_deviations
from deeplab.errors import InputError, quoted

Range = tuple[float, float]

Weights = float | tuple[float, ...]
"""How much a kernel counts: one number for all labels, or one for each."""

Costs = tuple[tuple[float, ...], ...]
"""A matrix over the labels: row l, column l' is the cost of label l where l' is heard."""


class Weighing(NamedTuple):
    """How much a kernel counts, in the two arguments of a `GaussianKernel`."""

    weight: float
    compatibility: npt.NDArray[np.float32] | None


class Parameter(NamedTuple):
    """One of the CRF's parameters, for whatever shows it to people or tries its values.

    Attributes:
        symbol: the paper's, if it has one.
        help: what it is, in a line.
        allowed: the least and the most that is taken from strangers.
        usual: the least and the most that sliders go to.
        searched: the least, the most and the step of a search's proposals; None: it is left as it is.
    """

    symbol: str
    help: str
    allowed: Range
    usual: Range
    searched: tuple[float, float, float] | None = None


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "bilateral_weight": Parameter("w1", "pull between pixels alike in colour", (0, 100), (0, 20), (1, 15, 0.5)),
        "bilateral_xy_std_px": Parameter("σα", "how far it reaches, in pixels", (1, 2000), (2, 200), (10, 150, 5)),
        "bilateral_rgb_std": Parameter("σβ", "how alike, in levels of 0–255", (0.5, 255), (1, 50), (1, 15, 0.5)),
        "spatial_weight": Parameter("w2", "pull between close pixels of any colour", (0, 100), (0, 20)),
        "spatial_xy_std_px": Parameter("σγ", "how far it reaches, in pixels", (0.3, 200), (0.5, 20)),
        "iterations": Parameter("", "mean field updates", (0, 50), (0, 20)),
    }
)
"""The numbers of `CRFParams`, and ``iterations``, by name; distances in pixels of what the network saw.

A search looks further than the paper's grid, which its authors' refined parameters leave on both sides.
"""


def _weights(given: Any, name: str) -> Weights:
    array = as_array(given, name)
    if array.ndim == 0:
        return check_number(array.item() if isinstance(given, np.ndarray) else given, name)
    if array.ndim != 1 or not array.size:
        raise InputError(f"{name} has shape {array.shape}; expected a number, or one for each label")
    weights = tuple(check_number(weight, name) for weight in array.tolist())
    check_label_count(len(weights), name, "one number for all, or one for each of two labels")
    return weights


def _costs(given: Any) -> Costs:
    array = as_array(given, "compatibility")
    check_real(array, "compatibility")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise InputError(f"compatibility has shape {array.shape}; expected (labels, labels), two or more")
    check_energies(array, "compatibility")
    return tuple(map(tuple, array.astype(np.float64).tolist()))


@dataclass(frozen=True)
class CRFParams:
    """Weights and standard deviations of the two kernels of the DeepLab paper (section 4.2, equation 2).

    The defaults are those of the authors' run script; the spatial pair is the paper's, fixed for all its experiments.

    >>> CRFParams(bilateral_weight=4, bilateral_xy_std_px=60).scaled(2).bilateral_xy_std_px
    120.0

    Attributes:
        bilateral_weight: w1, how strongly pixels near in place and colour share a label; at least 0. One for all
            labels, or one for each (kept as a tuple): how much that label counts where it is heard.
        bilateral_xy_std_px: σα, how far that reaches, in pixels; above 0.
        bilateral_rgb_std: σβ, how alike the colours must be, in the image's own units: levels of 0-255 for a photo of
            uint8. Above 0; one for all channels, or one for each (kept as a tuple).
        spatial_weight: w2, how strongly close pixels share a label whatever their colour; at least 0. One, or one for
            each label.
        spatial_xy_std_px: σγ, how far that reaches, in pixels; above 0.
        compatibility: μ, (L, L) rows of numbers (kept as tuples), of both kernels: row l, column l' is the cost of
            label l where l' is heard. None: the Potts model, 0 for equal labels and 1 for others.

    Raises:
        InputError: a weight is not a number of 0-1e9, or a standard deviation is not one above 0; the compatibility is
            no square matrix of finite numbers; or what is given for each label is of unequal numbers of labels.
    """

    bilateral_weight: Weights = 5.0
    bilateral_xy_std_px: float = 50.0
    bilateral_rgb_std: Deviations = 3.0
    spatial_weight: Weights = 3.0
    spatial_xy_std_px: float = 3.0
    compatibility: Costs | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name == "bilateral_rgb_std":
                value = check_deviations(value, max(1, as_array(value, field.name).size), field.name)
            elif field.name == "compatibility":
                value = None if value is None else _costs(value)
            elif field.name.endswith("_weight"):
                value = _weights(value, field.name)
            else:
                value = check_number(value, field.name, above_zero=field.name.endswith("_std_px"))
            object.__setattr__(self, field.name, value)
        if len(counts := self._label_counts()) and len(set(counts.values())) > 1:
            said = ", ".join(f"{name} of {count}" for name, count in counts.items())
            raise InputError(f"CRF parameters are for unequal numbers of labels: {said}; expected the same for all")

    def _label_counts(self) -> dict[str, int]:
        """How many labels each of the parameters is for that is given label by label."""
        given = {name: getattr(self, name) for name in ("bilateral_weight", "spatial_weight", "compatibility")}
        return {name: len(value) for name, value in given.items() if isinstance(value, tuple)}

    @property
    def labels(self) -> int | None:
        """L, where weights or the compatibility are given label by label; None: they do for any number."""
        return next(iter(self._label_counts().values()), None)

    def check_labels(self, count: int) -> None:
        """Check that the parameters do for `count` labels.

        Raises:
            InputError: weights or the compatibility are those of another number.
        """
        if self.labels not in (None, count):
            name = next(iter(self._label_counts()))
            shape = (self.labels, self.labels) if name == "compatibility" else (self.labels,)
            expected = (count,) * len(shape)
            raise InputError(
                f"the CRF's {name} has shape {shape}, for {self.labels} labels; expected {expected} for {count}: give "
                "those that were learnt with these labels, or one number for all"
            )

    def numbers(self) -> dict[str, float]:
        """Return the five numbers by name, of what is given for each label or channel the mean: for tables."""
        return {field.name: float(np.mean(getattr(self, field.name))) for field in fields(self)[:5]}

    def weighing(self, kernel: Literal["bilateral", "spatial"]) -> Weighing:
        """Return the weight and the compatibility of one of the two `GaussianKernel`.

        Hearing label l' costs label l as much as μ(l, l') · w(l') (Zheng et al. 2015, sections 4.2.2 and 4.2.3).
        """
        weight = getattr(self, f"{kernel}_weight")
        each = isinstance(weight, tuple)
        if self.compatibility is not None:
            costs = np.array(self.compatibility, np.float32) * np.array(weight if each else 1, np.float32)
            return Weighing(1.0 if each else weight, costs)
        return Weighing(1.0, -np.array(weight, np.float32)) if each else Weighing(weight, None)

    def scaled(self, factor: float) -> "CRFParams":
        """Return the parameters for the same photo resized by `factor`: both distances in pixels times it.

        Raises:
            InputError: `factor` is not a number above 0.
        """
        check_number(factor, "factor", above_zero=True)
        return replace(
            self,
            bilateral_xy_std_px=self.bilateral_xy_std_px * factor,
            spatial_xy_std_px=self.spatial_xy_std_px * factor,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters by name, as JSON can hold them; of the Potts model no compatibility."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CRFParams":
        """Return the parameters from names and values; those left out keep their defaults.

        Raises:
            InputError: a name is unknown or a value is unusable.
        """
        _check_names(values, [field.name for field in fields(cls)], "parameter")
        return cls(**values)


@dataclass(frozen=True)
class CRFSettings:
    """How the CRF runs on a photo; see `deeplab.crf.refine`.

    >>> CRFSettings.from_dict(CRFSettings(CRFParams(4), iterations=5).to_dict()).iterations
    5

    Attributes:
        params: the two kernels' weights and standard deviations.
        iterations: mean field updates, at least 0.
        normalization: how messages are normalised: "after", "symmetric", "before" or "none".

    Raises:
        InputError: a setting has the wrong type or is out of range.
    """

    params: CRFParams = CRFParams()
    iterations: int = 10
    normalization: str = "after"

    def __post_init__(self) -> None:
        if not isinstance(self.params, CRFParams):
            raise InputError(f"params is {type(self.params).__name__}; expected CRFParams")
        object.__setattr__(self, "iterations", check_count(self.iterations, 0, "iterations"))
        check_choice(self.normalization, NORMALIZATIONS, "normalization")

    def changed(self, values: Mapping[str, Any]) -> "CRFSettings":
        """Return the settings with some of the parameters, and perhaps the iterations, changed, by name.

        >>> CRFSettings().changed({"bilateral_rgb_std": 10, "iterations": 5}).iterations
        5

        Raises:
            InputError: a name is unknown or a value is unusable.
        """
        params = {**self.params.to_dict(), **values}
        iterations: Any = params.pop("iterations", self.iterations)
        return replace(self, params=CRFParams.from_dict(params), iterations=iterations)

    def scaled(self, factor: float) -> "CRFSettings":
        """Return the settings for the same photo resized by `factor`; see `CRFParams.scaled`."""
        return replace(self, params=self.params.scaled(factor))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, as JSON can hold them."""
        return {**asdict(self), "params": self.params.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CRFSettings":
        """Return the settings from names and values; those left out keep their defaults.

        Raises:
            InputError: a name is unknown or a value is unusable.
        """
        _check_names(values, [field.name for field in fields(cls)], "setting")
        return cls(**{**values, "params": CRFParams.from_dict(values.get("params", {}))})


@dataclass(frozen=True)
class Shortcuts:
    """How `deeplab.crf.refine` saves time and memory; docs/crf.md has how far each moves the result.

    >>> Shortcuts(prune_below=0)  # every label takes part in every update
    Shortcuts(exact_spatial=True, narrow_bilateral=True, prune_below=0.0, tile_side_px=2560)

    Attributes:
        exact_spatial: compute the spatial kernel as exact sums (`GridKernel`) while its standard deviation is at most
            12 px, instead of by a lattice: nearer to the definition.
        narrow_bilateral: make up for what the bilateral kernel's lattice blurs too much. Nearer to the definition, too;
            without effect up to a `bilateral_rgb_std` of 5.
        prune_below: leave out of each update the labels whose belief is below this at every pixel, 0-1; 0: none.
        tile_side_px: cut photos of more than this many pixels squared into overlapping tiles of at most this side, one
            after the other, so that memory beyond the result stays bounded; 0: never.

    Raises:
        InputError: a value has the wrong type or is out of range.
    """

    exact_spatial: bool = True
    narrow_bilateral: bool = True
    prune_below: float = 0.1
    tile_side_px: int = 2560

    def __post_init__(self) -> None:
        for name in ("exact_spatial", "narrow_bilateral"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected True or False")
        object.__setattr__(self, "prune_below", check_number(self.prune_below, "prune_below", most=1.0))
        object.__setattr__(self, "tile_side_px", check_count(self.tile_side_px, 0, "tile_side_px"))


PARITY = Shortcuts(exact_spatial=False, narrow_bilateral=False, prune_below=0.0, tile_side_px=0)
"""No shortcuts and a lattice for both kernels: with normalisation "symmetric", the reference program's marginals."""


def _check_names(values: Any, known: list[str], what: str) -> None:
    if not isinstance(values, Mapping):
        raise InputError(f"CRF {what}s are {quoted(values)}; expected a mapping with keys among {', '.join(known)}")
    unknown = [name if isinstance(name, str) else quoted(name) for name in values if name not in known]
    if unknown:
        raise InputError(f"unknown CRF {what} {', '.join(unknown)}; expected {', '.join(known)}")
