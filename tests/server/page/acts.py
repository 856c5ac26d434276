"""What a user does on the page, and what it sends: for the tests of more than one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """The place on the screen of a place on the stage, each 0–1."""
    box = page.locator("#stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def take(page: Any, tool: str, label: str | None = None) -> None:
    page.get_by_role("radio", name=tool, exact=True).check()
    if label:
        page.get_by_label("Class to mark").select_option(label=label)


def drag(page: Any, *places: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down(button=button)
    for place in places[1:]:
        page.mouse.move(*at(page, *place), steps=5)
    page.mouse.up(button=button)


def sent_marks(page: Any, act: Callable[[], Any]) -> list[dict[str, Any]]:
    """What the page sends as the photo's marks while `act` runs; waits until the labels are there."""
    with page.expect_response(lambda response: response.request.method == "PUT" and response.ok) as answer:
        act()
    calm(page)
    return list(json.loads(answer.value.request.post_data)["marks"])


def calm(page: Any) -> None:
    """Wait until nothing is under way."""
    page.locator("body[data-state=open]:not(.working)").wait_for()


def saved_mask(page: Any) -> NDArray[np.uint8]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Mask", exact=True).click()
    return np.asarray(Image.open(download.value.path()))


def strip(page: Any) -> list[str]:
    return [str(tile.get_attribute("aria-label")) for tile in page.locator("#strip button").all()]


def heading(page: Any, name: str) -> None:
    page.get_by_role("heading", name=name).wait_for()
    calm(page)


def own_classes(page: Any, *names: str) -> None:
    """Go over to classes of one's own."""
    page.get_by_role("radio", name="My own").check()
    calm(page)
    for name in names:
        page.get_by_label("Name of a new class").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=name, exact=True).wait_for()
        calm(page)


def teach_cup(page: Any) -> None:
    """Mark a cup and what lies around it, in the first photo."""
    own_classes(page, "cup")
    take(page, "Brush", "cup")
    sent_marks(page, lambda: drag(page, (0.4, 0.3), (0.6, 0.3)))
    take(page, "Brush", "background")
    sent_marks(page, lambda: drag(page, (0.05, 0.3), (0.05, 0.9)))
    sent_marks(page, lambda: drag(page, (0.95, 0.3), (0.95, 0.9)))
