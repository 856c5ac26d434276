"""Search for a network's CRF parameters on stored scores: the paper's grid and its refinement (section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice
from deeplab.crf import CRFParams
from deeplab.crf_search.trials import Trials
from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.evaluation import figures
from deeplab.evaluation.bootstrap import Estimate, Figure, draw_photos, estimate

PAPER_GRID: tuple[CRFParams, ...] = tuple(
    CRFParams(weight, xy, rgb, spatial_weight=3, spatial_xy_std_px=3)
    for xy, rgb, weight in product(range(50, 101, 10), range(3, 11), range(5, 11))
)
"""The paper's first round: σα in 50, 60 … 100 px, σβ in 3, 4 … 10, w1 in 5, 6 … 10; w2 = 3 and σγ = 3 px throughout."""

# Steps of w1, σα and σβ: first the grid's own, to walk out of it where the best lies on its rim, then half of them.
REFINEMENTS = ((1.0, 10.0, 1.0), (0.5, 5.0, 0.5))

# A share: what a walk to the next best must gain to go on. Less is far within the interval of any figure.
LEAST_GAIN = 0.0005

# Of the neighbours in a search with voters: on a plateau most are as good as the best.
MOST_TRIED = 6

OBJECTIVES = ("miou", "pixels", "trimap")


@dataclass(frozen=True)
class Objective:
    """What is to be best.

    Attributes:
        kind: "miou": the mean IoU; "pixels": the pixel accuracy; "trimap": the mean IoU near object boundaries.
        labels: those that a mean is taken over; None: all.

    Raises:
        InputError: the kind is none of these.
    """

    kind: str = "miou"
    labels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_choice(self.kind, OBJECTIVES, "objective")

    @property
    def figure(self) -> Figure:
        """The function that makes it of summed tallies."""
        if self.kind == "pixels":
            return figures.pixel_accuracy
        return partial(figures.mean_iou, labels=self.labels)

    def of(self, tallies: NDArray[np.int64]) -> float:
        """Return it for photos, (photos, regions, 3, L) as `Trials` has them."""
        return float(self.figure(self.parts(tallies).sum(0)))

    def parts(self, tallies: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tallies that it is made of, (photos, 3, L)."""
        return tallies[:, 1 if self.kind == "trimap" else 0]


class Trial(NamedTuple):
    """CRF parameters, when they were first tried, and on how many photos."""

    params: CRFParams
    stage: str
    photos: int


@dataclass
class Search:
    """A search under way: what is tried on which photos, and what is to be best.

    Attributes:
        trials: the measurements.
        objective: what is to be best.
        stages: all parameters tried so far, and the stage that first did.

    Raises:
        InputError: the objective needs a band that the trials do not measure.
        DataError: from `value`: none of the classes is in the photos.
    """

    trials: Trials
    objective: Objective = field(default_factory=Objective)
    stages: dict[CRFParams, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.objective.kind == "trimap" and self.trials.band is None:
            raise InputError("the objective 'trimap' needs a band around boundaries; give Trials(band=Band())")

    def measure(self, stage: str, tried: Sequence[CRFParams], photos: int | None = None) -> None:
        """Try parameters on the first `photos` photos; None: all."""
        self.trials.measure(stage, tried, photos)
        for params in tried:
            self.stages.setdefault(params, stage)

    def value(self, params: CRFParams | None) -> float:
        """Return the objective of parameters tried on all photos, in 0–1; None: of the network alone."""
        value = self.objective.of(self.trials.tallies(params))
        if np.isnan(value):
            raise DataError("none of the classes asked for is in these photos; take more photos or other classes")
        return value

    def best(self) -> CRFParams:
        """Return the best of the parameters tried on all photos; of equals, the first tried."""
        return max(self.complete(), key=self.value)

    def complete(self) -> list[CRFParams]:
        """List the parameters tried on all photos."""
        return [params for params in self.stages if self.trials.photos_of(params) == len(self.trials.samples)]

    def gap(self, params: CRFParams, other: CRFParams | None, photos: int | None = None) -> Estimate:
        """Return how far parameters are ahead of others on the first photos, with the paired 95 % interval."""
        mine, theirs = (self.objective.parts(self.trials.tallies(which, photos)) for which in (params, other))
        return estimate(self.objective.figure, mine, draw_photos(len(mine)), minus=theirs)

    def estimate(self, params: CRFParams | None, photos: int | None = None) -> Estimate:
        """Return the objective on the first photos with its 95 % interval."""
        parts = self.objective.parts(self.trials.tallies(params, photos))
        return estimate(self.objective.figure, parts, draw_photos(len(parts)))

    def ranking(self) -> list[Trial]:
        """List all trials, best first; those dropped after some of the photos come last."""
        every = [Trial(params, stage, self.trials.photos_of(params)) for params, stage in self.stages.items()]
        return sorted(every, key=lambda trial: (-trial.photos, -self.objective.of(self.trials.tallies(*trial[::2]))))


def choose_photos(samples: Sequence[Sample], count: int = 100, seed: int = 0) -> list[Sample]:
    """Return `count` of the photos, chosen by chance and in chance order; all where there are no more.

    Raises:
        InputError: `count` is below 1.
    """
    if count < 1:
        raise InputError(f"a search needs at least one photo, got {count}")
    return [samples[index] for index in np.random.default_rng(seed).permutation(len(samples))[:count]]


def grid_search(search: Search, grid: Sequence[CRFParams] = PAPER_GRID) -> CRFParams:
    """Run the paper's protocol, coarse to fine, and return the best parameters.

    The grid first; then, in its steps and in half of them, the 26 neighbours of the best, again and again as long as
    that gains. They may lie outside the grid, as the authors' own parameters do.
    """
    search.measure("first grid", grid)
    for number, steps in enumerate(REFINEMENTS, start=1):
        refine_best(search, f"refinement {number}", steps)
    return search.best()


def refine_best(search: Search, stage: str, steps: tuple[float, float, float], voters: int | None = None) -> None:
    """Try the neighbours of the best, each of w1, σα and σβ a step lower, equal or higher, as long as it gains.

    The walk ends where the best of them is ahead by less than `LEAST_GAIN`. With `voters`, only those that are furthest
    ahead on so many photos are tried on the others, `MOST_TRIED` at most, and none that is behind there by more than
    chance explains.
    """
    gain = np.inf
    while gain >= LEAST_GAIN:
        centre = search.best()
        around = _around(centre, steps)
        if voters is not None:
            search.measure(stage, around, voters)
            gaps = {params: search.gap(params, centre, voters) for params in around}
            likely = [params for params in around if gaps[params].high >= 0]
            around = sorted(likely, key=lambda params: -gaps[params].value)[:MOST_TRIED]
        search.measure(stage, around)
        gain = search.value(search.best()) - search.value(centre)


def _around(centre: CRFParams, steps: tuple[float, float, float]) -> list[CRFParams]:
    """The parameters a step away; weights that were learnt label by label move all by as much."""
    weight, xy, rgb = centre.bilateral_weight, centre.bilateral_xy_std_px, float(np.max(centre.bilateral_rgb_std))
    moved = (np.multiply(steps, move).tolist() for move in product((-1, 0, 1), repeat=3))
    return [
        replace(centre, bilateral_weight=w.tolist(), bilateral_xy_std_px=xy + by_xy, bilateral_rgb_std=rgb + by_rgb)
        for by_weight, by_xy, by_rgb in moved
        if (w := np.add(weight, by_weight)).min() >= 0 and xy + by_xy > 0 and rgb + by_rgb > 0
    ]
