"""Photos before and after the CRF (figures 4, 7), a class's maps as it runs (figure 2), and the search's heat map."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from deeplab.errors import DataError
from deeplab.report.content import Example, Labels, Report, Search
from deeplab.report.markup import Html, figure, note, section, table, tag
from deeplab.report.numbers import estimate, gain, percent, quantity
from deeplab.report.tables import swatch

_PARTS = {"photo": "photo", "truth": "truth", "network": "network", "crf": "network + CRF", "changes": "what changed"}
_KINDS = {"best": "most helped", "median": "in the middle", "worst": "least helped"}
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def galleries(content: Report, folder: Path) -> Html:
    """Show photos before and after the CRF, the best, median and worst of each network."""
    parts = [_legend(content.label_set), _legend(content.changes)]
    for network in content.networks:
        parts += [tag("h3", network.title), tag("p", _verdict(network.evaluation.by_photo.mean_iou))]
        parts += [_example(entry, folder) for entry in network.gallery]
    words = (
        "Photos ranked by what the CRF adds to each photo's own mean IoU: those it helped most, those in the middle, "
        "and those it helped least or harmed."
    )
    return section("gallery", "Before and after the CRF (figures 4 and 7)", tag("p", words), *parts)


def _example(entry: Example, folder: Path) -> Html:
    width, height = entry.size
    pictures = [
        tag(
            "div",
            _image(folder / entry.images[part], f"{title} of {entry.name}", width, height),
            tag("span", title),
        )
        for part, title in _PARTS.items()
        if part in entry.images
    ]
    before, after = entry.mean_iou
    caption = f"{entry.name}, {_KINDS[entry.kind]}: mean IoU {percent(before)} → {percent(after)} %"
    return figure(tag("div", *pictures, class_="strip"), caption, class_="wide")


def _verdict(by_photo: Mapping[str, Sequence[float | None]]) -> str:
    """How many photos the CRF helped and harmed."""
    pairs = zip(*by_photo.values(), strict=True)
    gains = [after - before for before, after in pairs if before is not None and after is not None]
    helped, harmed = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return f"The CRF helped {helped} of {len(gains)} photos and harmed {harmed}."


def _legend(label_set: Labels) -> Html:
    pairs = zip(label_set.names, label_set.palette, strict=False)
    return tag("ul", *(tag("li", swatch(colour), name) for name, colour in pairs), class_="legend")


def mean_field(content: Report, folder: Path) -> Html:
    """Show a class's score and belief maps after 0, 1, 2 … updates, for every network."""
    parts = []
    for network in content.networks:
        maps = network.mean_field
        pictures = [
            tag("div", _image(folder / getattr(step, part), f"{part} after {step.updates} updates"),
                tag("span", f"{part}, {_updates(step.updates)}"))
            for part in ("score", "belief")
            for step in maps.steps
        ]  # fmt: skip
        strip = tag("div", *pictures, class_="maps", style=f"--columns:{len(maps.steps)}")
        caption = f"{network.title}: {maps.label} in photo {maps.name}"
        parts.append(figure(strip, caption, class_="wide"))
    words = (
        "Above the score, here the class's log-odds from −8 (blue) to 8 (red); below the belief, its probability from "
        "0 (black) to 1 (light)."
    )
    return section("mean-field", "Score and belief as mean field runs (figure 2)", tag("p", words), *parts)


def _updates(count: int) -> str:
    return "network" if count == 0 else "1 update" if count == 1 else f"{count} updates"


def searches(content: Report, folder: Path) -> Html:
    """List the CRF parameters found, and draw what the search saw."""
    columns = ["network", "w1", "σα, px", "σβ", "w2", "σγ, px", "settings", "mean IoU there", "gain there",
               "a run"]  # fmt: skip
    rows, maps = [], []
    for network in content.networks:
        search = network.search
        numbers = [f"{number:g}" for number in search.crf.params.values()]
        rows.append([network.title, *numbers, f"{len(search.trials):,}", estimate(*search.best),
                     gain(*search.gain), _cost(search)])  # fmt: skip
        drawing = Html(_read(folder / search.heat_map).decode())
        box = tag("div", drawing, class_="scroll drawing", tabindex=0, role="region", aria_label="heat map")
        maps.append(
            tag("details", tag("summary", f"{network.title}: heat map of the search"), figure(box, _MAP), open="")
        )
    data = content.data
    caption = f"The best of each search on {data.search_photos} photos of {data.search_split}"
    found = table(caption, columns, rows, class_="stacked")
    return section("search", "The CRF's parameters (section 4.2)", found, note(_COSTS), *maps)


_MAP = "Each cell is the best over the parameter that the panel leaves out; the best of all is framed."


_COSTS = "A run: what one CRF run takes of the clock while several photos are in work at a time. A dash: none."


def _cost(search: Search) -> str:
    return quantity(1000 * search.seconds / search.runs if search.runs else None, "ms")


def _image(path: Path, words: str, width: int | None = None, height: int | None = None) -> Html:
    source = f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(_read(path)).decode()}"
    return tag("img", src=source, alt=words, width=width, height=height, loading="lazy")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; run the command again to make it anew") from None
