"""The data sets that figures are published on, and how much work a reproduction does on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from deeplab.checks import choose
from deeplab.crf import CRFParams
from deeplab.crf_search.search import PAPER_GRID
from deeplab.labels import CAMVID, VOC, LabelSet


@dataclass(frozen=True)
class Benchmark:
    """A data set with published figures.

    Attributes:
        name: what the command calls it; also its folder below the data folder.
        title: its name.
        reader: its layout in `deeplab.data.readers.READERS`.
        recipes: how its recipes' names end, ``largefov-voc.yaml``.
        search_split: where the CRF's parameters are searched.
        test_split: where figures are taken.
        published_photos: how many photos of that split the published figures are over.
        trimap: what the trimap's bands lie around; see `deeplab.evaluation.trimap.boundary_distance`.
        label_set: its classes.
        remarks: what sets figures on it apart from those published, in sentences.
    """

    name: str
    title: str
    reader: str
    recipes: str
    search_split: str
    test_split: str
    published_photos: int
    trimap: str
    label_set: LabelSet
    remarks: tuple[str, ...] = ()


_CAMVID = (
    "CamVid is not in the paper. The figures published for it come from networks that learnt from 3,433 photos; the "
    "standard split, which the recipes use, has 367 for training.",
    "Bands near boundaries lie around the borders between classes: these masks lack the void outlines of VOC's.",
)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "voc2012": Benchmark("voc2012", "PASCAL VOC 2012", "voc", "voc", "val", "val", 1449, "void", VOC),
        "camvid": Benchmark("camvid", "CamVid", "camvid", "camvid", "val", "test", 233, "classes", CAMVID, _CAMVID),
    }
)
"""The benchmarks by name."""


class Effort(NamedTuple):
    """How much is done.

    Attributes:
        grid: the settings of the CRF search's first round.
        refine: whether finer rounds follow.
        search_photos: how many photos the search runs on, at most.
        test_photos: how many photos are evaluated, evenly spaced over the split; None: all.
        resamples: sets of photos that intervals come from.
        examples: photos of each kind in the galleries.
        timed_photos: photos that times are taken on.
        iterations: of training; None: as the recipe says.
        is_quick: whether the figures mean nothing.
    """

    grid: tuple[CRFParams, ...]
    refine: bool
    search_photos: int
    test_photos: int | None
    resamples: int
    examples: int
    timed_photos: int
    iterations: int | None
    is_quick: bool


FULL = Effort(PAPER_GRID, True, 100, None, 1000, 3, 20, None, False)
QUICK = Effort(
    tuple(CRFParams(weight, xy, rgb) for xy, rgb, weight in product((50, 80), (3, 5), (5, 10))),
    False, 4, 12, 200, 1, 3, 2, True,
)  # fmt: skip


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark of a name; an `InputError` names them all and the nearest."""
    return choose(name, BENCHMARKS, "data set")
