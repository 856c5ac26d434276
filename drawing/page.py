"""Draw docs/page.md's pictures: from the repository's root, with `deeplab serve` running, python drawing/page.py.

Needs Playwright and a Chromium of the system's; another address than http://127.0.0.1:8000/ may follow the command.
"""

import shutil
import sys
from collections.abc import Callable
from typing import Any

from playwright.sync_api import sync_playwright

DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def main(address: str = "http://127.0.0.1:8000/") -> None:
    """Write every picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        def draw(name: str, photo: str, steps: Callable[[Any], Any], options: dict[str, Any]) -> None:
            page = browser.new_context(**options).new_page()
            page.set_default_timeout(120_000)
            page.goto(address)
            page.set_input_files("#file", f"examples/{photo}.jpg")
            page.locator("body[data-state=open]").wait_for()
            steps(page)
            page.screenshot(path=f"docs/images/page-{name}.jpg", quality=88)
            page.close()

        draw("compare", "astronaut", compare, DESKTOP)
        draw("alone", "astronaut", alone, {**DESKTOP, "color_scheme": "dark"})
        draw("iterations", "coffee", first_iteration, DESKTOP)
        draw("phone", "cat", lambda page: page.get_by_label("Photo", exact=True).check(), PHONE)
        browser.close()


def compare(page: Any) -> None:
    """Point at the helmet."""
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 0.72 * box["width"], box["y"] + 0.9 * box["height"])


def alone(page: Any) -> None:
    """Show nothing but the person, by the CRF."""
    page.get_by_role("button", name="person", exact=True).click()
    page.locator("#split").fill("15")
    page.mouse.move(0, 0)


def first_iteration(page: Any) -> None:
    """Stand at the first iteration, paler where less sure."""
    page.get_by_label("Paler where less sure").check()
    page.get_by_label("Iteration", exact=True).fill("1")
    page.get_by_text("% changed").wait_for()


if __name__ == "__main__":
    main(*sys.argv[1:])
