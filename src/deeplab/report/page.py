"""The report as one HTML file that loads nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from pathlib import Path

from deeplab.report.content import Network, Report
from deeplab.report.curves import boundaries
from deeplab.report.markup import Html, tag
from deeplab.report.numbers import estimate, gain
from deeplab.report.pictures import galleries, mean_field, searches
from deeplab.report.settings import deviations, settings
from deeplab.report.tables import accuracy, by_class, confusion, everything_published, speed

__all__ = ["render_page"]

_STYLE = Path(__file__).with_name("page.css")
_PAPER = (
    "Chen, Papandreou, Kokkinos, Murphy and Yuille, Semantic Image Segmentation with Deep Convolutional Nets and Fully "
    "Connected CRFs, ICLR 2015"
)
_LINKS = {
    "accuracy": "Accuracy", "boundaries": "Boundaries", "speed": "Speed", "classes": "Classes",
    "gallery": "Before, after", "mean-field": "Mean field", "search": "CRF search", "confusion": "Confusion",
    "deviations": "Deviations", "settings": "Settings",
}  # fmt: skip


def render_page(content: Report, folder: Path) -> str:
    """Lay a report out as HTML.

    Args:
        content: all that it says; `deeplab.report.content.read` makes one of ``report.json``.
        folder: what the content's pictures are named from.

    Raises:
        DataError: a picture is missing.
    """
    title = f"{content.title} — DeepLab reproduced"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", ("QUICK: " if content.quick else "") + title),
        tag("style", Html(_STYLE.read_text(encoding="utf-8"))),
    )
    main = tag(
        "main",
        accuracy(content),
        everything_published(content),
        boundaries(content),
        speed(content),
        by_class(content),
        galleries(content, folder),
        mean_field(content, folder),
        searches(content, folder),
        confusion(content),
        deviations(content),
        settings(content),
    )
    maker = f"deeplab {content.versions.get('deeplab-crf', '')}".strip()
    footer = tag("footer", tag("p", f"The paper: {_PAPER}. Made by {maker}."))
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', _header(content), main, footer), lang='en')}\n"


def _header(content: Report) -> Html:
    names = ", ".join(network.title for network in content.networks)
    lead = (
        f"{names} on {content.data.test_photos} photos of {content.data.test_split}, with and without the "
        "fully connected CRF, beside the published figures."
    )
    parts = [
        tag("p", "DeepLab reproduced", class_="kicker"),
        tag("h1", content.title),
        tag("p", lead, class_="lead"),
    ]
    if content.quick:
        words = tag("p", tag("strong", "QUICK"), " — every step ran, on next to nothing. The figures mean nothing.")
        parts.append(tag("div", words, class_="quick", role="note"))
    parts.append(tag("div", *(_headline(network) for network in content.networks), class_="headlines"))
    links = [tag("a", title, href=f"#{key}") for key, title in _LINKS.items()]
    return tag("header", *parts, tag("nav", *links, aria_label="Sections"))


def _headline(network: Network) -> Html:
    found = network.evaluation
    whole = found.results["network + CRF"]
    return tag(
        "div",
        tag("p", network.title + " + CRF"),
        tag("p", estimate(whole.mean_iou, *whole.intervals["mean_iou"]), class_="figure"),
        tag("p", "mean IoU, %; the CRF adds ", gain(*found.gain.mean_iou)),
    )
