"""Several photos, classes of one's own, exports; on a phone and for screen readers."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))

from acts import at, calm, drag, heading, own_classes, saved_mask, sent_marks, strip, take, teach_cup

OpenPhoto = Callable[..., Any]


def exported(page: Any, what: str) -> tuple[str, bytes]:
    page.get_by_label("All photos as").select_option(value=what)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_several_photos(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, *photos)
    page.locator("#strip li").nth(2).wait_for()
    assert strip(page) == ["cup 1.png", "cup 2.png", "cup 10.png"]
    heading(page, "cup 1.png")
    assert page.get_by_role("button", name="Previous photo").is_disabled()
    page.get_by_role("button", name="Next photo").click()
    heading(page, "cup 2.png")
    page.locator("#pointer").focus()
    page.keyboard.press("PageDown")
    heading(page, "cup 10.png")
    assert page.locator("#strip [aria-current]").get_attribute("aria-label") == "cup 10.png"
    assert "cat" in page.locator("#legend").inner_text()
    page.get_by_role("button", name="cup 1.png").click()
    heading(page, "cup 1.png")
    page.get_by_role("button", name="Remove this photo").click()
    heading(page, "cup 2.png")
    assert strip(page) == ["cup 2.png", "cup 10.png"]


def test_two_dropped_photos_are_both_taken(page: Any, photos: list[Path]) -> None:
    page.evaluate(
        """(files) => {
            const dataTransfer = new DataTransfer();
            for (const [name, bytes] of files) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
            document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        [[path.name, list(path.read_bytes())] for path in photos[:2]],
    )
    page.locator("#strip li").nth(1).wait_for()
    heading(page, "cup 1.png")
    assert not page.get_by_role("alert").get_by_role("button", name="Dismiss").is_visible()


def test_a_folder(page: Any, photos: list[Path]) -> None:
    (photos[0].parent / "notes.txt").write_bytes(b"no photo")
    page.set_input_files("#folder", photos[0].parent)
    page.locator("#strip li").nth(2).wait_for()
    assert strip(page) == ["cup 1.png", "cup 2.png", "cup 10.png"]  # as people count; of the text nobody hears
    assert not page.get_by_role("alert").get_by_role("button", name="Dismiss").is_visible()


def test_those_that_cannot_be_read_leave_the_others_alone(page: Any, photos: list[Path]) -> None:
    files: list[Any] = [{"name": "notes.png", "mimeType": "image/png", "buffer": b"no photo"}]
    files += [{"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()} for path in photos[:2]]
    page.set_input_files("#file", files)
    page.get_by_role("alert").get_by_role("button", name="Dismiss").wait_for()
    assert "notes.png" in page.get_by_role("alert").inner_text()
    heading(page, "cup 1.png")
    assert strip(page) == ["cup 1.png", "cup 2.png"]


def test_all_is_there_again_after_a_reload(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, *photos[:2])
    page.get_by_role("button", name="Next photo").click()
    heading(page, "cup 2.png")
    take(page, "Brush", "bottle")
    sent_marks(page, lambda: drag(page, (0.3, 0.5), (0.5, 0.5)))
    page.get_by_label("Weight").fill("0")
    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.get_by_label("Weight").press("ArrowRight")
    calm(page)
    legend, mask = page.locator("#legend").inner_text(), saved_mask(page)
    page.reload()
    heading(page, "cup 2.png")
    assert strip(page) == ["cup 1.png", "cup 2.png, 1 mark, segmented"]  # the mask is kept
    assert page.locator("#legend").inner_text() == legend
    assert np.array_equal(saved_mask(page), mask)
    page.get_by_role("button", name="Reset").click()  # to the model's own, which is still known
    calm(page)
    assert page.get_by_role("button", name="Reset").is_disabled()


def test_own_classes_are_learnt_and_found_elsewhere(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, *photos[:2])
    own_classes(page)
    assert "brush over a bit of each" in page.locator("#use-hint").inner_text()
    assert page.get_by_role("button", name="Cut-out").is_disabled()
    teach_cup(page)
    first = saved_mask(page)
    assert first[50, 120] == 1  # inside the cup
    assert first[80, 8] == 0
    page.get_by_role("button", name="Segment all").click()
    page.get_by_role("button", name="cup 2.png, segmented").wait_for()
    page.get_by_role("button", name="Next photo").click()
    heading(page, "cup 2.png")
    second = saved_mask(page)
    assert second[50, 120] == 1
    take(page, "Brush", "background")  # corrected where it is wrong: the marks of both photos teach
    sent_marks(page, lambda: drag(page, (0.45, 0.3), (0.55, 0.3)))
    assert saved_mask(page)[48, 120] == 0
    name, model = exported(page, "model.onnx")
    assert name.endswith(".onnx")
    assert len(model) > 1_000_000


def test_classes_are_renamed_recoloured_and_removed(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, photos[0])
    teach_cup(page)
    mask = saved_mask(page)
    page.get_by_role("button", name="Change cup").click()
    page.get_by_label("Name", exact=True).fill("mug")
    page.get_by_label("Colour", exact=True).fill("#00ff00")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("button", name="mug", exact=True).wait_for()
    calm(page)
    assert (saved_mask(page) == mask).mean() > 0.99
    swatch = page.get_by_role("button", name="mug", exact=True).locator("i")
    assert swatch.evaluate("(swatch) => swatch.style.backgroundColor") == "rgb(0, 255, 0)"
    page.get_by_label("Name of a new class").fill("mug")  # there is one of that name
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Change mug").click()
    assert "1 photo has some" in page.locator("#class-note").inner_text()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="mug", exact=True).wait_for(state="hidden")
    calm(page)
    assert "brush over a bit of each" in page.locator("#use-hint").inner_text()


def test_from_the_models_classes_to_ones_own_and_back_no_mark_is_lost(opened: Any) -> None:
    take(opened, "Brush", "dog")
    sent_marks(opened, lambda: drag(opened, (0.3, 0.5), (0.5, 0.5)))
    own_classes(opened, "whisker")
    assert opened.locator("#legend th").all_inner_texts() == ["background\n✎", "dog\n✎", "whisker\n✎"]
    take(opened, "Brush", "whisker")
    assert len(sent_marks(opened, lambda: drag(opened, (0.3, 0.7), (0.5, 0.7)))) == 2
    opened.get_by_role("radio", name="The model's").check()
    calm(opened)
    mask = saved_mask(opened)
    assert (mask[75, 90], mask[105, 90]) == (12, 21)  # the model's dog, and the first after its classes


def test_everything_is_exported(page: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    open_a_photo(page, *photos[1:])
    page.locator("#strip li").nth(1).wait_for()
    zipped = {"masks.zip": 2, "overlays.zip": 2, "cutouts.zip": 2, "yolo.zip": 3, "cvat.zip": 4, "project.zip": 3}
    for what, least in zipped.items():
        name, content = exported(page, what)
        assert name.endswith(".zip")
        assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) >= least, what
    for what in ("coco.json", "coco-uncompressed.json", "coco-polygons.json", "label-studio.json"):
        name, content = exported(page, what)
        assert name.endswith(".json")
        assert json.loads(content)
    options = page.get_by_label("All photos as").locator("option:not([hidden])")
    assert "The model" not in options.all_inner_texts()  # there is none of one's own


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violation_that_axe_finds(visit: Any, scheme: str, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = open_a_photo(visit(color_scheme=scheme), *photos[:2])
    page.locator("#strip li").nth(1).wait_for()
    page.locator("#known summary").click()
    take(page, "Brush", "bottle")
    assert [found["help"] for found in axe.run(page).response["violations"]] == []
    teach_cup(page)
    page.get_by_role("button", name="Change cup").click()
    assert [found["help"] for found in axe.run(page).response["violations"]] == []


def test_the_photo_stays_in_view_on_a_phone(visit: Any, photos: list[Path], open_a_photo: OpenPhoto) -> None:
    page = open_a_photo(visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True), *photos[:2])
    page.locator("#strip li").nth(1).wait_for()
    for what in ("#iterations", "#bilateral_weight", "#new-class-name"):
        page.locator(what).evaluate("(part) => part.scrollIntoView({ block: 'end' })")
        stage, part = page.locator("#stage").bounding_box(), page.locator(what).bounding_box()
        assert stage["y"] >= 0
        assert stage["y"] + stage["height"] < part["y"] < 740
    for tool in ("Look", "Brush", "Eraser", "Box", "Fill"):
        take(page, tool)
        assert not page.evaluate("document.documentElement.scrollWidth > 360")
        for control in page.locator("button:visible, select:visible, .tools input[type=range]:visible").all():
            box = control.bounding_box()
            assert min(box["width"], box["height"]) >= 24, control
    assert at(page, 0, 0)[1] >= 0
