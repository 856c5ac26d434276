"""The film strip of docs/page.md: photos corrected, classes taught, as pictures.

`DEEPLAB_FILM=docs/images pytest tests/server/page/test_film_strip.py` draws it anew.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parent))

from acts import at, calm, drag, sent_marks, take

EXAMPLES = Path(__file__).parents[3] / "examples"
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
STROKES = {
    "cup": [((0.36, 0.2), (0.33, 0.42)), ((0.45, 0.28), (0.55, 0.3)), ((0.35, 0.62), (0.4, 0.7))],
    "spoon": [((0.58, 0.72), (0.64, 0.7)), ((0.69, 0.22), (0.66, 0.45))],
    "background": [
        ((0.1, 0.3), (0.1, 0.7)),
        ((0.9, 0.2), (0.93, 0.8)),
        ((0.3, 0.85), (0.6, 0.9)),
        ((0.2, 0.5), (0.24, 0.7)),
    ],
}


class Film:
    """Takes pictures of pages, and keeps them in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, page: Any, name: str, width: int) -> None:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        assert np.asarray(picture).std() > 20  # there is something on it
        height = round(picture.height * width / picture.width)
        picture.resize((width, height), Image.Resampling.LANCZOS).save(
            self.folder / f"page-{name}.webp", quality=82, method=6
        )


def film(tmp_path: Path) -> Film:
    return Film(Path(os.environ.get("DEEPLAB_FILM", tmp_path)))


def test_a_result_is_corrected(visit: Any, tmp_path: Path, open_a_photo: Callable[..., Any]) -> None:
    page = open_a_photo(visit(), EXAMPLES / "astronaut.jpg")
    page.mouse.move(*at(page, 0.72, 0.9))
    film(tmp_path).take(page, "result", 1024)
    take(page, "Brush", "background")
    sent_marks(page, lambda: drag(page, (0.03, 0.12), (0.1, 0.3), (0.13, 0.42)))
    sent_marks(page, lambda: drag(page, (0.62, 0.78), (0.6, 0.9)))
    film(tmp_path).take(page, "correct", 1024)


def test_classes_are_taught(visit: Any, tmp_path: Path, open_a_photo: Callable[..., Any]) -> None:
    coffee = Image.open(EXAMPLES / "coffee.jpg")
    coffee.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((40, 20, 580, 400)).save(
        tmp_path / "coffee-2.jpg", quality=92
    )
    page = open_a_photo(visit(color_scheme="dark"), EXAMPLES / "coffee.jpg", tmp_path / "coffee-2.jpg")
    page.locator("#strip li").nth(1).wait_for()
    page.get_by_role("radio", name="My own").check()
    calm(page)
    for name in ("cup", "spoon"):
        page.get_by_label("Name of a new class").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=name, exact=True).wait_for()
        calm(page)
    for name, strokes in STROKES.items():
        take(page, "Brush", name)
        for stroke in strokes:
            sent_marks(page, lambda stroke=stroke: drag(page, *stroke))
    page.mouse.move(0, 0)
    film(tmp_path).take(page, "teach", 1024)
    page.get_by_role("button", name="Segment all").click()
    page.get_by_role("button", name="coffee-2.jpg, segmented").wait_for()
    page.get_by_role("button", name="Next photo").click()
    page.get_by_role("heading", name="coffee-2.jpg").wait_for()
    take(page, "Look")
    page.get_by_role("radio", name="Photo", exact=True).check()
    page.locator("#split").fill("10")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    film(tmp_path).take(page, "others", 1024)


def test_on_a_phone(visit: Any, tmp_path: Path, open_a_photo: Callable[..., Any]) -> None:
    page = open_a_photo(visit(**PHONE), EXAMPLES / "cat.jpg")
    take(page, "Brush", "background")
    sent_marks(page, lambda: drag(page, (0.85, 0.3), (0.9, 0.8)))
    page.locator("#bilateral_weight").evaluate("(slider) => slider.scrollIntoView({ block: 'end' })")
    film(tmp_path).take(page, "phone", 540)
