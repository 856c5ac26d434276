"""What goes wrong beside the page: other tabs, restarts, hostile names, sixty classes, photos that are too large."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parent))

from acts import calm, drag, heading, own_classes, sent_marks, strip, take, teach_cup

EXAMPLES = Path(__file__).parents[3] / "examples"
HOSTILE = "<img src=x onerror='window.hacked = true'>"

OpenPhoto = Callable[..., Any]


@pytest.fixture
def tabs(visit: Any, photos: list[Path], open_a_photo: OpenPhoto) -> tuple[Any, Any]:
    """Two tabs on one project."""
    one = open_a_photo(visit(), photos[0])
    other = one.context.new_page()
    project = one.evaluate("sessionStorage.getItem('project')")
    other.add_init_script(f"sessionStorage.setItem('project', {json.dumps(project)})")
    other.goto(one.url)
    heading(other, "cup 1.png")
    take(other, "Brush", "bottle")
    take(one, "Brush", "cat")
    return one, other


def look_again(page: Any) -> None:
    """Have the page see that a cat was marked in another."""
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.get_by_role("button", name="Undo").wait_for()
    page.locator("#legend").filter(has_text="cat").wait_for()
    calm(page)


def kept_labels(page: Any) -> list[list[int]]:
    """Of each photo, the classes of the marks that the server has."""
    photos = page.evaluate(
        """async () => {
            const at = `/api/v1/projects/${sessionStorage.getItem("project")}`;
            const { photos } = await (await fetch(at)).json();
            const marks = photos.map(async ({ id }) => (await (await fetch(`${at}/photos/${id}/marks`)).json()).marks);
            return Promise.all(marks);
        }"""
    )
    return [[mark["label"] for mark in marks] for marks in photos]


def test_another_tab_on_the_same_project(tabs: tuple[Any, Any]) -> None:
    one, other = tabs
    sent_marks(other, lambda: drag(other, (0.3, 0.3), (0.5, 0.3)))
    with one.expect_response(lambda response: response.request.method == "PUT" and response.ok) as answer:
        drag(one, (0.3, 0.7), (0.5, 0.7))
    assert [mark["label"] for mark in json.loads(answer.value.request.post_data)["marks"]] == [5, 8]  # both are kept
    one.get_by_text("This project was changed in another page, too.").wait_for()
    look_again(other)
    assert len(sent_marks(other, lambda: drag(other, (0.3, 0.5), (0.5, 0.5)))) == 3


def test_undo_while_another_tab_moved_a_slider(tabs: tuple[Any, Any]) -> None:
    one, other = tabs
    for y in (0.3, 0.7):
        sent_marks(one, lambda y=y: drag(one, (0.3, y), (0.5, y)))  # type: ignore[misc]
    look_again(other)
    with other.expect_response(lambda response: response.request.method == "PATCH" and response.ok):
        other.get_by_label("Weight").fill("0")
    assert len(sent_marks(one, one.get_by_role("button", name="Undo").click)) == 1
    assert kept_labels(one) == [[8]]
    assert one.get_by_role("button", name="Redo").is_enabled()
    assert one.get_by_text("This project was changed in another page").count() == 0


def test_undo_takes_away_only_what_was_marked_here(tabs: tuple[Any, Any]) -> None:
    one, other = tabs
    sent_marks(one, lambda: drag(one, (0.3, 0.3), (0.5, 0.3)))
    look_again(other)
    sent_marks(other, lambda: drag(other, (0.3, 0.7), (0.5, 0.7)))
    assert kept_labels(one) == [[8, 5]]
    sent_marks(one, one.get_by_role("button", name="Undo").click)
    assert kept_labels(one) == [[5]]


def test_strokes_in_quick_succession_after_another_tab_marked(tabs: tuple[Any, Any]) -> None:
    one, other = tabs
    sent_marks(other, lambda: drag(other, (0.3, 0.3), (0.5, 0.3)))
    one.evaluate(  # marks are a while on their way
        """() => {
            const { fetch } = window;
            window.fetch = async (address, options) => {
                if (options?.method === "PUT") await new Promise((resolve) => setTimeout(resolve, 3000));
                return fetch(address, options);
            };
        }"""
    )
    drag(one, (0.3, 0.7), (0.5, 0.7))
    take(one, "Brush", "dog")
    drag(one, (0.3, 0.8), (0.5, 0.8))
    calm(one)
    assert kept_labels(one) == [[5, 8, 12]]


def forget(page: Any) -> None:
    """Let the server lose the project, as one that was started anew has."""
    page.evaluate("fetch('/api/v1/projects/' + sessionStorage.getItem('project'), { method: 'DELETE' })")


def test_a_server_that_was_restarted_gets_everything_again(
    page: Any, photos: list[Path], open_a_photo: OpenPhoto
) -> None:
    open_a_photo(page, *photos[:2])
    teach_cup(page)
    before = page.locator("#legend").inner_text()
    forget(page)
    marks = sent_marks(page, page.get_by_role("button", name="Undo").click)
    assert len(marks) == 2
    assert len(sent_marks(page, page.get_by_role("button", name="Redo").click)) == 3
    assert page.locator("#legend").inner_text() == before
    assert strip(page) == ["cup 1.png, 3 marks", "cup 2.png"]
    forget(page)
    page.reload()
    page.get_by_text("has forgotten this page's photos").wait_for()
    assert page.get_by_role("heading", name="Drop a photo here").is_visible()


def test_while_the_server_does_not_answer_nothing_is_lost(opened: Any) -> None:
    opened.route("**/api/**", lambda route: route.abort())
    take(opened, "Brush", "dog")
    drag(opened, (0.3, 0.5), (0.5, 0.5))
    opened.get_by_text("The server does not answer.").wait_for()
    (stroke,) = sent_marks(opened, lambda: opened.unroute("**/api/**"))  # by itself
    assert stroke["label"] == 12
    opened.locator("#legend").filter(has_text="dog").wait_for()
    assert not opened.get_by_role("alert").get_by_role("button", name="Dismiss").is_visible()


def test_what_another_tab_marked_while_this_one_was_cut_off_is_kept(tabs: tuple[Any, Any]) -> None:
    one, other = tabs
    one.route("**/api/**", lambda route: route.abort())
    drag(one, (0.3, 0.7), (0.5, 0.7))
    one.get_by_text("The server does not answer.").wait_for()
    sent_marks(other, lambda: drag(other, (0.3, 0.3), (0.5, 0.3)))
    sent_marks(one, lambda: one.unroute("**/api/**"))
    assert kept_labels(one) == [[5, 8]]


def test_marks_of_photos_that_are_not_open_outlive_a_renaming_and_a_restart(
    page: Any, photos: list[Path], open_a_photo: OpenPhoto
) -> None:
    open_a_photo(page, *photos)
    own_classes(page, "cup")
    page.locator("#strip li").nth(2).wait_for()
    for photo in photos:
        page.get_by_role("button", name=photo.name).click()
        heading(page, photo.name)
        take(page, "Brush", "cup")
        sent_marks(page, lambda: drag(page, (0.4, 0.3), (0.6, 0.3)))
    page.get_by_role("button", name="Change cup").click()
    page.get_by_label("Name", exact=True).fill("mug")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("button", name="mug", exact=True).wait_for()
    calm(page)
    forget(page)
    sent_marks(page, lambda: drag(page, (0.4, 0.5), (0.6, 0.5)))
    assert sorted(kept_labels(page)) == [[1], [1], [1, 1]]


def test_a_photo_that_cannot_be_looked_at_now_is_asked_for_after_a_pause(opened: Any) -> None:
    left = [2, 2, 2, 1, 0]

    def answer(route: Any) -> None:
        route.fulfill(json={**route.fetch().json(), "pending": left.pop(0) if left else 0})

    opened.add_init_script(
        """const { setTimeout } = window;
        window.pauses = [];
        window.setTimeout = (work, ms) => (window.pauses.push(ms), setTimeout(work, ms));"""
    )
    opened.route("**/api/v1/projects/*", answer)
    opened.reload()
    calm(opened)
    assert left == []
    assert opened.evaluate("pauses.filter((ms) => ms === 1000).length") == 2


def test_hostile_class_names_are_only_text(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, photos[0])
    own_classes(page)
    page.get_by_label("Name of a new class").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Change {HOSTILE}").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    take(page, "Brush", HOSTILE)
    drag(page, (0.3, 0.5), (0.5, 0.5))
    calm(page)
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.fixture
def many_classes(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> Any:
    """The page with sixty classes of one's own."""
    open_a_photo(page, photos[0])
    own_classes(page)
    page.evaluate(
        """async () => {
            const at = `/api/v1/projects/${sessionStorage.getItem("project")}`;
            const { version, classes } = await (await fetch(at)).json();
            const kept = classes.map(({ index, name, colour }) => ({ was: index, name, colour }));
            const more = Array.from({ length: 59 }, (_, i) => `thing number ${i + 1}`)
                .map((name) => ({ was: null, name, colour: null }));
            const body = JSON.stringify({ version, classes: [...kept, ...more] });
            await fetch(at, { method: "PATCH", body, headers: { "Content-Type": "application/json" } });
        }"""
    )
    page.reload()
    calm(page)
    return page


def test_sixty_classes(many_classes: Any) -> None:
    page = many_classes
    assert page.locator("#legend tr").count() == 60
    assert page.locator("#label option").count() == 60
    colours = page.locator("#legend i").evaluate_all("(all) => all.map((swatch) => swatch.style.backgroundColor)")
    assert len(set(colours)) == 60
    box = page.locator(".legend").bounding_box()
    assert box["height"] < 250  # it scrolls
    take(page, "Brush", "thing number 59")
    (stroke,) = sent_marks(page, lambda: drag(page, (0.3, 0.3), (0.5, 0.3)))
    assert stroke["label"] == 59


def test_a_photo_of_50_megapixels(page: Any, tmp_path: Path) -> None:
    cat = Image.open(EXAMPLES / "cat.jpg").resize((8670, 5767))
    cat.save(tmp_path / "huge.jpg", quality=85)
    page.set_input_files("#file", tmp_path / "huge.jpg")
    page.get_by_role("heading", name="huge.jpg").wait_for()
    calm(page)
    assert ", shrunk here from 8670 × 5767, shown at 1024 × 681" in page.locator("#photo-facts").inner_text()
    assert page.locator("#legend").inner_text().startswith("cat")
