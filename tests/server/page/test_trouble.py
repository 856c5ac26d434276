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


def test_another_tab_on_the_same_project(visit: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    one = open_a_photo(visit(), photos[0])
    other = one.context.new_page()
    project = one.evaluate("sessionStorage.getItem('project')")
    other.add_init_script(f"sessionStorage.setItem('project', {json.dumps(project)})")
    other.goto(one.url)
    heading(other, "cup 1.png")
    take(other, "Brush", "bottle")
    take(one, "Brush", "cat")
    sent_marks(other, lambda: drag(other, (0.3, 0.3), (0.5, 0.3)))
    with one.expect_response(lambda response: response.request.method == "PUT" and response.ok) as answer:
        drag(one, (0.3, 0.7), (0.5, 0.7))
    assert [mark["label"] for mark in json.loads(answer.value.request.post_data)["marks"]] == [5, 8]  # both are kept
    one.get_by_text("This project was changed in another page, too.").wait_for()
    other.evaluate("dispatchEvent(new Event('focus'))")
    other.get_by_role("button", name="Undo").wait_for()
    other.locator("#legend").filter(has_text="cat").wait_for()
    calm(other)
    assert len(sent_marks(other, lambda: drag(other, (0.3, 0.5), (0.5, 0.5)))) == 3


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
