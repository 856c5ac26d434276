"""The paper's three tables, with ours beside, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

from deeplab.report.content import Figure, Report
from deeplab.report.markup import Html, grid, join, note, section, table, tag
from deeplab.report.numbers import NOTHING, beside_ours, estimate, gain, percent, points, quantity
from deeplab.report.published import published_figure

MEASURES = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "class accuracy",
    "boundary_f1": "boundary F1",
}


def accuracy(content: Report) -> Html:
    """Table 1: the networks with and without CRF, what the CRF adds, and how networks compare."""
    rows = content.table1
    published = [m for m in MEASURES if any(row.figures[m].published is not None for row in rows)]
    columns = ["network"]
    for measure, title in MEASURES.items():
        columns += [title, "published"] if measure in published else [title]

    def cells(measure: str, figures: Figure) -> list[str]:
        ours = estimate(figures.value, figures.low, figures.high)
        return [ours, beside_ours(figures.published, figures.difference)] if measure in published else [ours]

    body = [
        [
            row.title + ("" if row.way == "network" else " + CRF"),
            *(cell for measure in MEASURES for cell in cells(measure, row.figures[measure])),
        ]
        for row in rows
    ]
    photos, resamples = content.data.test_photos, content.resamples
    caption = f"In percent, over {photos} photos of {content.data.test_split}"
    words = (
        "Below a published figure stands how far ours is from it. "
        f"Brackets: the middle 95 % of {resamples} resampled sets of photos (bootstrap, seed {content.seed}). "
        "Mean IoU by the VOC protocol: one confusion matrix over all photos."
    )
    return section(
        "accuracy", "Accuracy (table 1)", table(caption, columns, body, class_="stacked"), note(words),
        _crf_gains(content), _compared(content),
    )  # fmt: skip


def _crf_gains(content: Report) -> Html:
    rows = []
    for network in content.networks:
        name, gains = network.name, network.evaluation.gain
        before, after = (
            published_figure(content.benchmark, name, way, "mean_iou") for way in ("network", "network + CRF")
        )
        theirs = points(after - before) if before is not None and after is not None else NOTHING
        rows.append([network.title, gain(*gains.mean_iou), theirs, gain(*gains.pixel_accuracy)])
    columns = ["network", "mean IoU", "published", "pixel accuracy"]
    return table("What the CRF adds, points [95 % interval of the paired difference]", columns, rows)


def _compared(content: Report) -> Html:
    if not content.compared:
        return Html("")
    rows = [[f"{row.network} over {row.over}", row.way, gain(*row.mean_iou)] for row in content.compared]
    columns = ["networks", "way", "mean IoU"]
    return table("One network over another on the same photos, points [95 % interval]", columns, rows)


def speed(content: Report) -> Html:
    """Table 2: parameters, field of view, and times, the paper's beside."""
    columns = ["network", "parameters", "field of view", "training", "paper's training", "network", "CRF"]
    rows = [
        [
            network.title,
            f"{network.parameters:,}",
            quantity(network.field_of_view_px, "px"),
            quantity(network.speed.training_images_per_second, "photos/s", 2),
            quantity(network.speed.published_training_images_per_second, "photos/s", 2),
            quantity(network.speed.network_ms, "ms"),
            quantity(network.speed.crf_ms, "ms"),
        ]
        for network in content.networks
    ]
    first = content.networks[0].speed
    sizes = ", ".join(first.sizes[:3]) + (" …" if len(first.sizes) > 3 else "")
    words = (
        f"Network and CRF: medians over {first.photos} photos ({sizes} px), one at a time on {first.threads} "
        f"threads of {content.machine.processor}. The paper's training speed is that of one GPU of 2014; its "
        "network took 125 ms for 306x306 px there, its CRF under 500 ms a photo."
    )
    return section("speed", "Size and speed (table 2)", table("One network a row", columns, rows),
                   note(words))  # fmt: skip


def by_class(content: Report) -> Html:
    """Table 3: the IoU of every class."""
    label_set, networks = content.label_set, content.networks
    columns = ["class"]
    for network in networks:
        columns += [network.title, "+ CRF", "gain"]
    rows = []
    for name, colour in zip(label_set.names, label_set.palette, strict=False):
        row: list[str] = [join([swatch(colour), name])]
        for network in networks:
            found = network.evaluation
            row += [percent(each.iou[name]) for each in found.results.values()]
            row.append(gain(*found.gain.iou[name]))
        rows.append(row)
    caption = "IoU in percent; a dash where no pixel is of the class"
    return section("classes", "Every class (table 3)", table(caption, columns, rows))


def confusion(content: Report) -> Html:
    """What true classes are taken for, a matrix for each network with its CRF."""
    names = content.label_set.names
    parts = []
    for network in content.networks:
        counts = network.evaluation.results["network + CRF"].confusion
        rows = (tag("tr", tag("th", name, scope="row"), *_shares(row)) for name, row in zip(names, counts, strict=True))
        caption = f"{network.title} + CRF: of the pixels of each true class, percent found as each class"
        box = grid(caption, ["true \\ found", *names], rows, class_="confusion")
        parts.append(tag("details", tag("summary", f"{network.title} + CRF"), box, open=""))
    return section("confusion", "Confusion matrices", *parts)


def _shares(row: Sequence[int]) -> list[Html]:
    total = sum(row)
    if not total:
        return [tag("td", "") for _ in row]
    return [_share(100 * count / total) for count in row]


def _share(percent_found: float) -> Html:
    words = f"{percent_found:.0f}" if percent_found >= 0.5 else ""
    return tag("td", words, class_="full" if percent_found > 55 else None, style=f"--share:{percent_found:.0f}%")


def everything_published(content: Report) -> Html:
    """All figures published on the benchmark, with their sources."""
    columns = ["network", *MEASURES.values(), "source"]
    rows = [
        [
            row.title + ("" if row.way == "network" else " + CRF"),
            *(f"{row.percent[measure]:.2f}" if measure in row.percent else NOTHING for measure in MEASURES),
            tag("span", row.source, class_="words"),
        ]
        for row in content.published
    ]
    whole = table(f"Published on {content.title}, in percent", columns, rows)
    return tag("details", tag("summary", "All published figures"), whole)


def swatch(colour: Sequence[int]) -> Html:
    """A square of a class's colour."""
    return tag("i", class_="swatch", style=f"background:rgb({','.join(map(str, colour))})")
