"""The page for everybody and against abuse: keyboard, screen readers, phones, dark, errors, hostile names, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOSTILE = "<img src=x onerror='window.hacked = true'>"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
TEXT_FILE = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no photo"}

OpenPhoto = Callable[..., Any]


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def tab_to(page: Any, name: str) -> None:
    """Press Tab until an element with that id or text has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    pytest.fail(f"Tab never came to {name}")


def test_by_keyboard_alone(page: Any, cat: Path) -> None:
    tab_to(page, "Choose a photo")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(cat)
    page.locator("body[data-state=open]").wait_for()

    tab_to(page, "pointer")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("#pointer-reading").inner_text().startswith("cat, ")
    assert page.locator("#cross").is_visible()
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="cat", exact=True).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")

    tab_to(page, "split")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#split").input_value() == "49"
    assert page.locator("#split").get_attribute("aria-valuetext") == "49 % before, 51 % after"

    tab_to(page, "cat")
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="cat", exact=True).get_attribute("aria-pressed") == "true"

    tab_to(page, "iterations")
    page.keyboard.press("ArrowRight")
    page.get_by_role("status").filter(has_text="Refined").wait_for()
    assert page.locator("#iterations").get_attribute("aria-valuetext") == "11"

    tab_to(page, "cutout")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "cat_cutout.png"


def test_the_focus_shows(opened: Any) -> None:
    tab_to(opened, "pointer")
    for _ in range(12):
        opened.keyboard.press("Tab")
        outlined = """() => [document.activeElement, document.activeElement.nextElementSibling]
            .some((element) => element && [element, ...element.querySelectorAll("*")]
            .some((part) => getComputedStyle(part).outlineStyle === "solid"))"""
        assert opened.evaluate(outlined), focused(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violation_that_axe_finds(visit: Any, cat: Path, scheme: str, open_a_photo: OpenPhoto) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = visit(color_scheme=scheme)
    page.set_input_files("#file", TEXT_FILE)
    page.get_by_role("alert").get_by_role("button").wait_for()
    assert [found["help"] for found in axe.run(page).response["violations"]] == []
    open_a_photo(page, cat)
    page.get_by_role("button", name="cat", exact=True).click()
    assert [found["help"] for found in axe.run(page).response["violations"]] == []


def test_everything_has_a_name(opened: Any) -> None:
    controls = opened.locator("button:visible, input:visible, #pointer")
    assert controls.count() >= 19
    for control in controls.all():
        tree = control.aria_snapshot()
        assert '"' in tree, tree  # - button "Mask"
    alternative = opened.locator("#photo").get_attribute("alt")
    assert alternative.startswith("cat.png: cat 7")
    assert "background" in alternative


def test_on_a_phone(visit: Any, cat: Path, open_a_photo: OpenPhoto) -> None:
    page = visit(**PHONE)
    too_wide = "document.documentElement.scrollWidth > 360"
    assert not page.evaluate(too_wide)
    open_a_photo(page, cat)
    assert not page.evaluate(too_wide)
    for control in page.locator("button:visible, input[type=range]:visible").all():
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= 24, control  # WCAG 2.2, target size (minimum)
    box = page.locator("#stage").bounding_box()
    page.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    page.locator("#tip").filter(has_text="cat").wait_for()
    assert page.get_by_role("button", name="cat", exact=True).get_attribute("aria-pressed") == "false"


def test_dark(visit: Any) -> None:
    def lightness(page: Any, what: str) -> float:
        colour = page.evaluate(f"getComputedStyle(document.body).{what}")
        return sum(map(int, colour[4:-1].split(","))) / 765

    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    assert lightness(light, "backgroundColor") > 0.9 > 0.2 > lightness(light, "color")
    assert lightness(dark, "color") > 0.8 > 0.2 > lightness(dark, "backgroundColor")


def test_less_motion(visit: Any) -> None:
    for wish, transitions in (("no-preference", True), ("reduce", False)):
        page = visit(reduced_motion=wish)
        found = page.evaluate("parseFloat(getComputedStyle(document.querySelector('aside')).transitionDuration) > 0")
        assert found == transitions


def test_nothing_jumps(page: Any, cat: Path, open_a_photo: OpenPhoto) -> None:
    page.evaluate("""() => {
        window.shift = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
            if (!entry.hadRecentInput) window.shift += entry.value;
        })).observe({type: "layout-shift"});
    }""")
    page.get_by_role("button", name="Choose a photo").click(trial=True)
    page.set_input_files("#file", cat)
    page.locator("body[data-state=busy] #photo").wait_for()
    page.evaluate("window.shift = 0")  # what came before belongs to the user's own step
    page.locator("body[data-state=open]").wait_for()
    page.get_by_label("Weight").fill("0")
    page.get_by_role("status").filter(has_text="Refined").wait_for()
    assert page.evaluate("window.shift") < 0.01


def test_an_error_is_shown_and_dismissed(page: Any) -> None:
    page.set_input_files("#file", TEXT_FILE)
    alert = page.get_by_role("alert")
    alert.get_by_role("button", name="Dismiss").wait_for()
    assert "notes.txt" in alert.inner_text() or "image" in alert.inner_text()
    assert page.get_by_role("heading", name="Drop a photo here").is_visible()
    assert page.locator("#status").inner_text() == ""  # and not what was on its way
    assert page.title() == "deeplab"
    alert.get_by_role("button", name="Dismiss").click()
    assert not alert.get_by_role("button", name="Dismiss").is_visible()


def test_a_photo_outlives_a_failed_one(opened: Any) -> None:
    opened.get_by_label("Iterations", exact=True).fill("2")
    opened.get_by_role("status").filter(has_text="Refined").wait_for()
    legend = opened.locator("#legend").inner_text()
    opened.set_input_files("#file", TEXT_FILE)
    opened.get_by_role("alert").get_by_role("button").wait_for()
    opened.locator("body[data-state=open]").wait_for()
    assert opened.get_by_role("heading", name="cat.png").is_visible()
    assert opened.locator("#legend").inner_text() == legend
    assert opened.get_by_label("Iterations", exact=True).input_value() == "2"


def test_a_server_that_is_gone(opened: Any) -> None:
    opened.route("**/api/**", lambda route: route.abort())
    opened.get_by_label("Weight").fill("0")
    opened.get_by_text("The server does not answer.").wait_for()


def test_cancelling(page: Any, cat: Path) -> None:
    page.route("**/api/v1/projects/*/photos", lambda route: None)  # never answered
    with page.expect_request("**/api/v1/projects/*/photos"):  # cancelled before it was sent, none would fail
        page.set_input_files("#file", cat)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("heading", name="Drop a photo here").is_visible()
    assert not page.get_by_role("alert").get_by_role("button").is_visible()


def test_hostile_names_are_only_text(page: Any, cat: Path) -> None:
    def rename(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        for label in told.get("classes", ()):
            label["name"] = f"{label['name']} {HOSTILE}"
        if route.request.url.endswith("/photos"):
            told["name"] = f"{HOSTILE}.png"
        route.fulfill(response=answer, body=json.dumps(told))

    page.route("**/api/v1/projects", rename)
    page.route("**/api/v1/projects/*/photos", rename)
    page.set_input_files("#file", {"name": f"{HOSTILE}.png", "mimeType": "image/png", "buffer": cat.read_bytes()})
    page.locator("body[data-state=open]").wait_for()
    page.get_by_role("button", name="cat <img").click()
    assert HOSTILE in page.locator("#photo-name").inner_text()
    assert HOSTILE in page.locator("#legend").inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


def test_another_sites_page_can_neither_send_nor_read(browser: Any, address: str) -> None:
    page = browser.new_context().new_page()
    page.route("http://localhost:8999/**", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    page.goto("http://localhost:8999/")
    seen: list[tuple[str, int]] = []
    page.on("response", lambda response: seen.append((response.request.method, response.status)))
    send = """async (address) => {
        const form = new FormData();
        form.append("photo", new File([new Uint8Array(9)], "a.png"));
        await fetch(`${address}/api/v1/photos`, {method: "POST", mode: "no-cors", body: form}).catch(() => {});
    }"""
    read = "(address) => fetch(`${address}/api/v1/models`).then((answer) => answer.text()).catch(() => 'refused')"
    framed = """async (address) => {
        const frame = document.body.appendChild(document.createElement("iframe"));
        const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
        frame.src = address;
        await loaded;
        try { return frame.contentDocument.title } catch { return "refused" }
    }"""
    page.evaluate(send, address)
    assert {status for method, status in seen if method == "POST"} <= {403}
    assert page.evaluate(read, address) == "refused"
    assert page.evaluate(framed, address) != "deeplab"
    page.context.close()


def test_a_servers_token_is_asked_for(page: Any, cat: Path) -> None:
    def guard(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"code": "no_token", "message": "this server wants its token"}})

    page.route("**/api/**", guard)
    page.set_input_files("#file", cat)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("That was not the token.").wait_for()
    page.get_by_label("Token", exact=True).fill("open sesame")
    page.get_by_role("button", name="Continue").click()
    page.locator("body[data-state=open]").wait_for()
    page.reload()
    page.set_input_files("#file", cat)
    page.locator("body[data-state=open]").wait_for()  # not asked again


def test_a_token_not_given(page: Any, cat: Path) -> None:
    page.route("**/api/**", lambda route: route.fulfill(status=401, json={}))
    page.set_input_files("#file", cat)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_text("This server works only with its token.").wait_for()
