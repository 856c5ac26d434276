"""Accuracy near object boundaries: the paper's figure 5."""

from __future__ import annotations

from collections.abc import Sequence

from deeplab.report.charts import Series, legend, line_chart
from deeplab.report.content import Network, Report
from deeplab.report.markup import Html, figure, join, note, section, table, tag
from deeplab.report.numbers import gain, percent
from deeplab.report.published import TRIMAP, TRIMAP_ENDS

_TITLES = {"mean_iou": "mean IoU", "pixel_accuracy": "pixel accuracy"}
_PAPER = {"mean_iou": TRIMAP, "pixel_accuracy": TRIMAP_ENDS}
_PAPERS_LOOKS = {"DeepLab": "dashed", "DeepLab-MSc": "msc dashed", "DeepLab-CRF": "", "DeepLab-MSc-CRF": "msc"}
_PRINTED_WIDTHS = (1, 5, 10, 20, 40)
_AROUND = {"void": "void outlines", "classes": "borders between classes"}


def boundaries(content: Report) -> Html:
    """Draw mean IoU and pixel accuracy over the band's width, and list them and what the CRF adds there."""
    around = _AROUND[content.data.trimap_around]
    with_paper = content.benchmark == "voc2012"
    charts = []
    for measure, title in _TITLES.items():
        series = [*_paper(measure, with_paper), *_ours(content.networks, measure)]
        chart = line_chart(f"{title} in bands around {around}", "width of the band, px", f"{title}, %", series)
        charts.append(figure(join([chart, legend(series)]), f"{title[0].upper()}{title[1:]} in bands around {around}"))
    words = "Shaded: the middle 95 % of resampled sets of photos, with the CRF."
    if with_paper:
        words += " The paper's curves are over the 1,449 photos of val; its pixel accuracy is known at both ends alone."
    return section(
        "boundaries", "Near object boundaries (figure 5)",
        tag("div", *charts, class_="pair"), note(words),
        _numbers(content.networks), _gains(content.networks),
    )  # fmt: skip


def _ours(networks: Sequence[Network], measure: str) -> list[Series]:
    series = []
    for number, network in enumerate(networks):
        for way, found in network.evaluation.results.items():
            title = network.title + ("" if way == "network" else " + CRF")
            look = f"c{number % 6}" + (" dashed" if way == "network" else "")
            line, band = [], []
            for width, (value, low, high) in enumerate(found.trimap[measure], start=1):
                if value is not None:
                    line.append((width, 100 * value))
                if way != "network" and low is not None and high is not None:  # more bands would hide one another
                    band.append((width, 100 * low, 100 * high))
            series.append(Series(title, look, line, band))
    return series


def _paper(measure: str, wanted: bool) -> list[Series]:
    if not wanted:
        return []
    kind = "paper apart" if measure == "pixel_accuracy" else "paper"
    return [
        Series(f"paper: {title}", f"{kind} {_PAPERS_LOOKS[title]}", list(known.items()), dots=True)
        for title, known in _PAPER[measure].items()
    ]


def _numbers(networks: Sequence[Network]) -> Html:
    columns = ["network", "measure", *(f"{width} px" for width in _PRINTED_WIDTHS)]
    rows = [
        [
            f"{network.title}, {way}",
            title,
            *(percent(found.trimap[measure][width - 1][0]) for width in _PRINTED_WIDTHS),
        ]
        for network in networks
        for way, found in network.evaluation.results.items()
        for measure, title in _TITLES.items()
    ]
    return tag("details", tag("summary", "The curves as numbers"), table("Figures in bands, %", columns, rows))


def _gains(networks: Sequence[Network]) -> Html:
    columns = ["network", *(f"{width} px" for width in _PRINTED_WIDTHS), "whole photos"]
    rows = [
        [
            network.title,
            *(gain(*network.evaluation.trimap_gain["mean_iou"][width - 1]) for width in _PRINTED_WIDTHS),
            gain(*network.evaluation.gain.mean_iou),
        ]
        for network in networks
    ]
    return table(
        "What the CRF adds to the mean IoU in bands of growing width, points [95 % interval]",
        columns,
        rows,
        class_="stacked",
    )
