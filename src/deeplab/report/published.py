"""Published figures that stand beside ours, in percent as printed, each with its source.

Chen et al. 2015 is the paper; the figures on CamVid come from Badrinarayanan, Kendall and Cipolla, "SegNet", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Row(NamedTuple):
    """What a publication says of one network.

    Attributes:
        benchmark: "voc2012" or "camvid".
        network: its name in `deeplab.network.variants`, or None where we have none like it.
        title: the publication's name for it.
        way: "network" or "network + CRF".
        percent: by measure, as printed.
        source: where it stands.
    """

    benchmark: str
    network: str | None
    title: str
    way: str
    percent: Mapping[str, float]
    source: str


_NETWORK, _CRF = "network", "network + CRF"
_VAL = "Chen et al. 2015, VOC 2012 val (1,449 photos), tables 1 and 2"
_TEST = "Chen et al. 2015, VOC 2012 test server, trained on trainval"
_SEGNET = "Badrinarayanan et al. 2017, table 3: 233 test photos at 480x360, 3,433 training photos"

# mean IoU on val: network alone, with CRF
_PAPER_VAL = (
    ("deeplab", "DeepLab", 59.80, 63.74),
    ("deeplab-4x4", "DeepLab-4x4", None, 67.14),
    ("deeplab-7x7", "DeepLab-7x7", 64.38, 67.64),
    ("largefov", "DeepLab-LargeFOV", 62.25, 67.64),
    ("msc-deeplab", "DeepLab-MSc", 61.30, 65.21),
    ("msc-largefov", "DeepLab-MSc-LargeFOV", 64.21, 68.70),
)
_VOC_TEST = (
    ("DeepLab", _CRF, 66.4, _TEST),
    ("DeepLab-MSc", _CRF, 67.1, _TEST),
    ("DeepLab-7x7", _CRF, 70.3, _TEST),
    ("DeepLab-LargeFOV", _CRF, 70.3, _TEST),
    ("DeepLab-MSc-LargeFOV", _CRF, 71.6, _TEST),
    ("MSRA-CFM", _NETWORK, 61.8, "VOC 2012 test server, as listed by Chen et al. 2015"),
    ("FCN-8s", _NETWORK, 62.2, "VOC 2012 test server, as listed by Chen et al. 2015"),
    ("TTI-Zoomout-16", _NETWORK, 64.4, "VOC 2012 test server, as listed by Chen et al. 2015"),
)
_CAMVID_MEASURES = ("pixel_accuracy", "mean_class_accuracy", "mean_iou", "boundary_f1")
_CAMVID = (
    ("largefov", "DeepLab-LargeFOV", _NETWORK, (88.20, 62.53, 53.88, 32.77)),
    ("largefov", "DeepLab-LargeFOV", _CRF, (89.71, 60.67, 54.74, 40.79)),
    ("fcn8s", "FCN (learnt deconvolution)", _NETWORK, (83.14, 64.21, 51.96, 33.18)),
    (None, "SegNet", _NETWORK, (90.40, 71.20, 60.10, 46.84)),
)

_ROWS = (
    *(
        Row("voc2012", name, title, way, {"mean_iou": value}, _VAL)
        for name, title, *values in _PAPER_VAL
        for way, value in zip((_NETWORK, _CRF), values, strict=True)
        if value is not None
    ),
    *(Row("voc2012", None, title, way, {"mean_iou": value}, source) for title, way, value, source in _VOC_TEST),
    *(
        Row("camvid", name, title, way, dict(zip(_CAMVID_MEASURES, values, strict=True)), _SEGNET)
        for name, title, way, values in _CAMVID
    ),
)

TRIMAP_WIDTHS = (1, 5, 10, 20, 40)
TRIMAP: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        title: MappingProxyType(dict(zip(TRIMAP_WIDTHS, values, strict=True)))
        for title, values in {
            "DeepLab": (39.1, 45.5, 50.8, 56.4, 60.4),
            "DeepLab-MSc": (43.3, 49.9, 54.4, 59.0, 62.3),
            "DeepLab-CRF": (45.9, 51.7, 55.7, 60.2, 63.7),
            "DeepLab-MSc-CRF": (48.0, 53.8, 57.6, 61.6, 64.8),
        }.items()
    }
)
"""Mean IoU on VOC val in bands around void, by the paper's name of the curve and the width in pixels (figure 5)."""

TRIMAP_ENDS: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        title: MappingProxyType(dict(zip((1, 40), ends, strict=True)))
        for title, ends in {
            "DeepLab": (59.8, 85.0),
            "DeepLab-MSc": (64.2, 86.1),
            "DeepLab-CRF": (67.8, 86.9),
            "DeepLab-MSc-CRF": (69.6, 87.3),
        }.items()
    }
)
"""Pixel accuracy likewise, at 1 and 40 px."""

# Photos a second on one GPU of 2014, 306x306 (table 2).
_TRAINING_SPEED = {"deeplab": 2.90, "deeplab-4x4": 2.90, "deeplab-7x7": 1.44, "largefov": 4.84}


def published_rows(benchmark: str) -> list[Row]:
    """Return everything published on a benchmark, in order."""
    return [row for row in _ROWS if row.benchmark == benchmark]


def published_figure(benchmark: str, network: str, way: str, measure: str) -> float | None:
    """Return what was published of a network of ours, in 0–1, or None."""
    for row in published_rows(benchmark):
        if (row.network, row.way) == (network, way) and measure in row.percent:
            return round(row.percent[measure] / 100, 6)
    return None


def training_speed(network: str) -> float | None:
    """Return the paper's photos a second in training, or None where it gives none."""
    return _TRAINING_SPEED.get(network)
