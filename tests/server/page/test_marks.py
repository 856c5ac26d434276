"""Marks on a photo: what each tool sends, the way back, the view that zooms; by mouse, keys, finger and pen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parent))

from acts import at, drag, saved_mask, sent_marks, take

SCROLLED = "() => new Promise((resolve) => scrollY ? resolve() : addEventListener('scroll', resolve, {once: true}))"
WIDTH, HEIGHT = 226, 150  # of the photo of the cat


def drawn(page: Any, x: float, y: float) -> list[int]:
    """The marks' colour at a place of the photo: red, green, blue, alpha."""
    return list(
        page.evaluate(
            """([x, y]) => {
                const canvas = document.getElementById("marks");
                const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
                return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
            }""",
            [x, y],
        )
    )


def test_a_stroke_corrects_the_result(opened: Any) -> None:
    before = saved_mask(opened)
    assert before[75, 30:190].max() == 8  # cat
    take(opened, "Brush", "dog")
    marks = sent_marks(opened, lambda: drag(opened, (0.3, 0.5), (0.5, 0.5), (0.5, 0.7)))
    (stroke,) = marks
    assert (stroke["kind"], stroke["label"]) == ("stroke", 12)
    assert stroke["points"][0] == pytest.approx([0.3 * WIDTH, 0.5 * HEIGHT], abs=1)
    assert stroke["points"][-1] == pytest.approx([0.5 * WIDTH, 0.7 * HEIGHT], abs=1)
    assert stroke["width_px"] == pytest.approx(0.022 * WIDTH, abs=0.3)
    after = saved_mask(opened)
    assert after[75, int(0.4 * WIDTH)] == 12  # marks hold
    assert (after != before).sum() > 300  # and what lies around them goes along: the stroke itself has 350 pixels
    assert "dog" in opened.locator("#legend").inner_text()
    opened.locator("#status").filter(has_text="dog").wait_for()


def test_undo_redo_and_clear(opened: Any) -> None:
    undo, redo, clear = (
        opened.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo", "Clear marks")
    )
    take(opened, "Brush", "dog")
    assert undo.is_disabled()
    assert redo.is_disabled()
    assert clear.is_disabled()
    shares = opened.locator("#legend").inner_text()
    first = sent_marks(opened, lambda: drag(opened, (0.3, 0.5), (0.5, 0.5)))
    both = sent_marks(opened, lambda: drag(opened, (0.3, 0.3), (0.5, 0.3)))
    assert both[:1] == first
    assert sent_marks(opened, undo.click) == first
    assert sent_marks(opened, lambda: opened.keyboard.press("Control+z")) == []
    assert opened.locator("#legend").inner_text() == shares
    assert sent_marks(opened, lambda: opened.keyboard.press("Control+Shift+z")) == first
    assert sent_marks(opened, redo.click) == both
    assert sent_marks(opened, clear.click) == []
    assert sent_marks(opened, undo.click) == both


def test_the_eraser_takes_strokes_and_boxes_away(opened: Any) -> None:
    take(opened, "Brush", "dog")
    drag(opened, (0.3, 0.5), (0.6, 0.5))
    take(opened, "Box", "cat")
    marks = sent_marks(opened, lambda: drag(opened, (0.1, 0.1), (0.9, 0.9)))
    assert [mark["kind"] for mark in marks] == ["stroke", "box"]
    assert marks[1]["box"] == pytest.approx([0.1 * WIDTH, 0.1 * HEIGHT, 0.9 * WIDTH, 0.9 * HEIGHT], abs=1)
    assert drawn(opened, 0.45, 0.5)[3] == 255
    take(opened, "Eraser")
    marks = sent_marks(opened, lambda: drag(opened, (0.45, 0.4), (0.45, 0.6)))
    assert [mark["kind"] for mark in marks] == ["stroke", "box", "stroke"]
    assert marks[2]["label"] is None
    assert drawn(opened, 0.45, 0.5)[3] == 0
    assert drawn(opened, 0.35, 0.5)[3] == 255
    marks = sent_marks(opened, lambda: drag(opened, (0.05, 0.2), (0.15, 0.2)))  # over the box's left edge
    assert "box" not in [mark["kind"] for mark in marks]


def test_a_box_that_is_only_a_click_is_none(opened: Any) -> None:
    take(opened, "Box", "cat")
    drag(opened, (0.5, 0.5), (0.5, 0.5))
    marks = sent_marks(opened, lambda: drag(opened, (0.6, 0.6), (0.2, 0.3)))  # backwards
    assert [mark["kind"] for mark in marks] == ["box"]
    assert marks[0]["box"] == pytest.approx([0.2 * WIDTH, 0.3 * HEIGHT, 0.6 * WIDTH, 0.6 * HEIGHT], abs=1)


def test_a_fill_goes_to_the_edge(page: Any, tmp_path: Path, open_a_photo: Callable[..., Any]) -> None:
    photo = np.full((100, 160, 3), 60, np.uint8)
    photo[20:70, 30:90] = (200, 90, 40)
    Image.fromarray(photo).save(tmp_path / "tile.png")
    open_a_photo(page, tmp_path / "tile.png")
    take(page, "Fill", "bottle")
    (region,) = sent_marks(page, lambda: page.mouse.click(*at(page, 0.4, 0.4)))
    assert (region["kind"], region["label"], region["size"]) == ("region", 5, [160, 100])
    filled = np.zeros(100 * 160, bool)
    for start, length in np.reshape(region["runs"], (-1, 2)):
        filled[start : start + length] = True
    inside = filled.reshape(100, 160)
    assert inside[22:68, 32:88].all()  # JPEG blurs the edge itself by a pixel or two
    inside[18:72, 28:92] = False
    assert not inside.any()
    assert saved_mask(page)[45, 60] == 5


def test_a_region_is_what_is_connected_without_a_step(page: Any) -> None:
    """Against the definition, pixel by pixel."""
    rng = np.random.default_rng(5)
    data = rng.integers(0, 60, (12, 17, 4)).astype(int)
    spread, seed = 40, (5, 8)

    def differ(a: tuple[int, int], b: tuple[int, int]) -> int:
        return int(np.abs(data[a][:3] - data[b][:3]).max())

    expected, open_ends = {seed}, [seed]
    while open_ends:
        y, x = open_ends.pop()
        for after in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= after[0] < 12 and 0 <= after[1] < 17) or after in expected:
                continue
            if differ(after, seed) <= spread and differ(after, (y, x)) <= 0.6 * spread:
                expected.add(after)
                open_ends.append(after)
    found = page.evaluate(
        """async ([data, width, height, x, y, spread]) => {
            const { regionFrom } = await import("/static/region.js");
            return regionFrom({ data, width, height }, (x + 0.5) / width, (y + 0.5) / height, spread);
        }""",
        [data.ravel().tolist(), 17, 12, seed[1], seed[0], spread],
    )
    runs = np.reshape(found, (-1, 2))
    assert {divmod(int(start) + i, 17) for start, length in runs for i in range(length)} == expected
    assert all(start // 17 == (start + length - 1) // 17 for start, length in runs)  # none goes on in the next row


def test_the_size_of_the_brush(opened: Any) -> None:
    take(opened, "Brush", "dog")
    opened.get_by_label("Size").fill("40")
    (thin,) = sent_marks(opened, lambda: drag(opened, (0.3, 0.3), (0.5, 0.3)))
    opened.keyboard.press("]")
    opened.keyboard.press("]")
    _, wider = sent_marks(opened, lambda: drag(opened, (0.3, 0.5), (0.5, 0.5)))
    assert wider["width_px"] > thin["width_px"] >= 1
    opened.mouse.move(*at(opened, 0.5, 0.5))
    ring = opened.locator("#brush").bounding_box()
    scale = opened.locator("#stage").bounding_box()["width"] / WIDTH
    assert ring["width"] == pytest.approx(max(6, wider["width_px"] * scale), abs=1)


def test_escape_gives_up_a_stroke(opened: Any) -> None:
    take(opened, "Brush", "dog")
    opened.mouse.move(*at(opened, 0.3, 0.5))
    opened.mouse.down()
    opened.mouse.move(*at(opened, 0.5, 0.5), steps=3)
    assert drawn(opened, 0.4, 0.5)[3] == 255
    opened.keyboard.press("Escape")
    assert drawn(opened, 0.4, 0.5)[3] == 0
    opened.mouse.up()
    assert opened.get_by_role("button", name="Undo").is_disabled()


def test_marks_by_keyboard(opened: Any) -> None:
    opened.locator("#pointer").focus()
    opened.keyboard.press("b")
    assert opened.get_by_role("radio", name="Brush").is_checked()
    opened.get_by_label("Class to mark").select_option(label="dog")
    opened.locator("#pointer").focus()
    opened.keyboard.press("Enter")
    for _ in range(4):
        opened.keyboard.press("ArrowLeft")
    (stroke,) = sent_marks(opened, lambda: opened.keyboard.press("Enter"))
    assert stroke["points"][0] == pytest.approx([WIDTH / 2, HEIGHT / 2], abs=1)
    assert stroke["points"][-1] == pytest.approx([WIDTH / 2 - 4 * 6, HEIGHT / 2], abs=1)
    opened.keyboard.press("r")
    opened.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(5):
            opened.keyboard.press(key)
    *_, box = sent_marks(opened, lambda: opened.keyboard.press("Enter"))
    assert box["kind"] == "box"
    opened.keyboard.press("f")
    *_, region = sent_marks(opened, lambda: opened.keyboard.press("Enter"))
    assert region["kind"] == "region"


def test_the_view_zooms_around_the_pointer(opened: Any) -> None:
    take(opened, "Brush", "dog")
    opened.mouse.move(*at(opened, 0.25, 0.5))
    for _ in range(6):
        opened.mouse.wheel(0, -60)
    opened.locator("#zoom-level").filter(has_not_text="100 %").wait_for()
    (stroke,) = sent_marks(opened, lambda: drag(opened, (0.25, 0.5), (0.35, 0.5)))
    assert stroke["points"][0] == pytest.approx([0.25 * WIDTH, 0.5 * HEIGHT], abs=1)
    zoom = int(opened.locator("#zoom-level").inner_text().split()[0]) / 100
    assert zoom > 2
    assert stroke["points"][-1][0] == pytest.approx((0.25 + 0.1 / zoom) * WIDTH, abs=1)
    drag(opened, (0.5, 0.5), (0.7, 0.5), button="middle")  # moves the view, and marks nothing
    _, moved = sent_marks(opened, lambda: drag(opened, (0.45, 0.5), (0.5, 0.5)))
    assert moved["points"][0][0] == pytest.approx(0.25 * WIDTH, abs=2)
    opened.locator("#pointer").focus()
    opened.keyboard.press("0")
    assert opened.locator("#zoom-level").inner_text() == "100 %"
    opened.keyboard.press("+")
    assert opened.locator("#zoom-level").inner_text() == "150 %"
    opened.keyboard.press("-")
    opened.get_by_role("button", name="Zoom in").click()
    opened.locator("#zoom-level").click()
    assert opened.locator("#zoom-level").inner_text() == "100 %"


def test_the_wheel_scrolls_the_page_as_long_as_it_need_not_zoom(opened: Any) -> None:
    opened.set_viewport_size({"width": 1280, "height": 500})
    opened.mouse.move(*at(opened, 0.5, 0.3))
    opened.mouse.wheel(0, 100)
    opened.locator("#pointer").evaluate(SCROLLED)
    assert opened.locator("#zoom-level").inner_text() == "100 %"


def test_fingers_draw_and_pinch(visit: Callable[..., Any], cat: Path, open_a_photo: Callable[..., Any]) -> None:
    page = open_a_photo(visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True), cat)
    take(page, "Brush", "dog")
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(at(page, *finger) for finger in fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def draw() -> None:
        touch("touchStart", (0.3, 0.5))
        touch("touchMove", (0.4, 0.5))
        touch("touchMove", (0.5, 0.5))
        touch("touchEnd")

    (stroke,) = sent_marks(page, draw)
    assert stroke["points"][-1] == pytest.approx([0.5 * WIDTH, 0.5 * HEIGHT], abs=2)
    touch("touchStart", (0.4, 0.5))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.2, 0.5), (0.6, 0.5))
    touch("touchMove", (0.2, 0.5), (0.8, 0.5))
    touch("touchEnd")
    assert int(page.locator("#zoom-level").text_content().split()[0]) == pytest.approx(300, abs=15)
    assert page.evaluate("scrollY") == 0
    _, again = sent_marks(page, draw)  # and two fingers have marked nothing
    assert again["points"][0] == pytest.approx([(0.5 - 0.2 / 3) * WIDTH, 0.5 * HEIGHT], abs=3)


def test_a_pen_draws_while_the_hand_rests(opened: Any) -> None:
    take(opened, "Brush", "dog")

    def draw() -> None:
        opened.evaluate(
            """(places) => {
                const pointer = document.getElementById("pointer");
                pointer.setPointerCapture = () => {}; // there is no such pointer
                const send = (type, pointerId, pointerType, [clientX, clientY]) =>
                    pointer.dispatchEvent(new PointerEvent(type, { pointerId, pointerType, clientX, clientY }));
                send("pointerdown", 7, "pen", places[0]);
                send("pointerdown", 8, "touch", places[2]);
                send("pointermove", 7, "pen", places[1]);
                send("pointerup", 8, "touch", places[2]);
                send("pointerup", 7, "pen", places[1]);
            }""",
            [at(opened, 0.3, 0.4), at(opened, 0.5, 0.4), at(opened, 0.9, 0.9)],
        )

    (stroke,) = sent_marks(opened, draw)
    assert stroke["points"] == [
        pytest.approx([0.3 * WIDTH, 0.4 * HEIGHT], abs=1),
        pytest.approx([0.5 * WIDTH, 0.4 * HEIGHT], abs=1),
    ]


def test_a_class_of_the_list_takes_the_brush(opened: Any) -> None:
    opened.get_by_text("All that voc-largefov knows: 20 classes").click()
    opened.get_by_role("button", name="Mark sheep").click()
    assert opened.get_by_role("radio", name="Brush").is_checked()
    assert opened.get_by_label("Class to mark").evaluate("(select) => select.selectedOptions[0].text") == "sheep"
    (stroke,) = sent_marks(opened, lambda: drag(opened, (0.3, 0.5), (0.5, 0.5)))
    assert stroke["label"] == 17


def test_where_nothing_is_found_the_brush_is_offered(
    page: Any, tmp_path: Path, open_a_photo: Callable[..., Any]
) -> None:
    Image.new("RGB", (300, 200), (120, 130, 140)).save(tmp_path / "wall.png")
    open_a_photo(page, tmp_path / "wall.png")
    page.get_by_role("button", name="Mark it with the brush").click()
    assert page.get_by_role("radio", name="Brush").is_checked()
    page.get_by_label("Class to mark").select_option(label="boat")
    sent_marks(page, lambda: drag(page, (0.3, 0.5), (0.5, 0.5)))
    assert page.locator("#nothing").inner_text() == ""
    assert (saved_mask(page) == 4).any()
