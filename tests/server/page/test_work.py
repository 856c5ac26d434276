"""A photo's way through the page, each number against what the package says of the same photo."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from deeplab import Segmentation, Segmenter, refine

EXAMPLES = Path(__file__).parents[3] / "examples"

DROP = """([bytes, kind, ...others]) => {
    const held = new DataTransfer();
    for (const name of ["dropped.png", ...others])
        held.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
    const options = {bubbles: true, cancelable: true};
    if (kind === "paste")
        return document.body.dispatchEvent(new ClipboardEvent(kind, {...options, clipboardData: held}));
    for (const name of ["dragenter", "dragover", kind])
        document.body.dispatchEvent(new DragEvent(name, {...options, dataTransfer: held}));
}"""


def shown_shares(page: Any) -> dict[str, tuple[str, str]]:
    """The legend: class → share before and after."""
    rows = [row.split("\t") for row in page.locator("#legend tr").all_inner_texts()]
    return {name.strip(): (before, after) for name, before, after in rows}


def percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def expected_shares(before: Segmentation, after: Segmentation) -> dict[str, tuple[str, str]]:
    old, new = before.shares(), after.shares()
    return {name: (percent(old.get(name, 0)), percent(new.get(name, 0))) for name in old.keys() | new.keys()}


def refined(segmenter: Segmenter, network: Segmentation, iterations: int = 10, **params: float) -> Segmentation:
    """What the package makes of the network's scores with other parameters."""
    crf = segmenter.info.crf
    changed = replace(crf, params=replace(crf.params, **params), iterations=iterations)
    probabilities = refine(network.image, network.probabilities, changed)
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    return Segmentation(labels, probabilities, network.label_set, network.image)


def stage(page: Any) -> NDArray[np.int32]:
    """The photo as it stands on the screen, (h, w, 3)."""
    page.mouse.move(0, 0)
    return np.array(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB"), dtype=np.int32)


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """The place on the screen of a place in the photo, each 0–1."""
    box = page.locator("#stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def saved(page: Any, button: str) -> tuple[str, Image.Image]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))


def assert_opaque(cutout: Image.Image, mask: NDArray[np.bool_]) -> None:
    """A cut-out is opaque inside a mask and transparent outside, softly along the edge."""
    alpha = np.asarray(cutout)[..., 3]
    assert ((alpha > 127) == mask).mean() > 0.97


def on_stage(mask: NDArray[np.bool_], picture: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where a mask of the photo lies in a picture of the stage: right of the slider, and well inside the mask."""
    inside = Image.fromarray(mask).convert("L").filter(ImageFilter.MinFilter(7))
    height, width = picture.shape[:2]
    placed = np.array(inside.resize((width, height), Image.Resampling.NEAREST)) > 0
    placed[: height // 5] = placed[:, : int(0.55 * width)] = False  # names at the top, the slider's knob
    placed[-16:] = placed[:, -16:] = False  # round corners
    assert placed.sum() > 1000
    return placed


def test_a_photo_picked(page: Any, cat: Path, by_network: Segmentation, by_crf: Segmentation) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files(cat)
    page.get_by_role("status").filter(has_text="cat.png: cat").wait_for()
    assert shown_shares(page) == expected_shares(by_network, by_crf)
    assert page.get_by_role("heading", name="cat.png").is_visible()
    assert "226 × 150 px" in page.locator("#photo-facts").inner_text()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_dropped_or_pasted(
    page: Any, cat: Path, kind: str, by_network: Segmentation, by_crf: Segmentation
) -> None:
    page.evaluate(DROP, [list(cat.read_bytes()), kind])
    page.get_by_role("heading", name="dropped.png").wait_for()
    page.locator("body[data-state=open]").wait_for()
    assert shown_shares(page) == expected_shares(by_network, by_crf)


def limit(page: Any, **limits: int) -> None:
    """Let the server say that it takes no more than that."""
    told = {"max_pixels": 25_000_000, "max_upload_bytes": 32 << 20, **limits}
    page.route("**/api/v1/limits", lambda route: route.fulfill(json=told))


def test_a_photo_too_large_is_shrunk_upright(
    page: Any, tmp_path: Path, open_a_photo: Callable[[Any, Path], Any], segmenter: Segmenter
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as phones have it
    upright = Image.open(EXAMPLES / "cat.jpg").resize((600, 400))
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    limit(page, max_pixels=60_000)
    open_a_photo(page, tmp_path / "phone.jpg")
    assert page.locator("#photo-facts").inner_text().startswith("300 × 200 px, shrunk here from 600 × 400 ·")
    assert (
        "Files have 300 × 200 px: the photo was shrunk here from 600 × 400" in page.locator("#save-note").inner_text()
    )
    name, mask = saved(page, "Mask")
    assert (name, mask.size) == ("phone.png", (300, 200))
    expected = segmenter.segment(np.asarray(upright.resize((300, 200), Image.Resampling.BOX))).labels
    assert (np.asarray(mask) == expected).mean() > 0.97


def test_a_file_too_large_is_shrunk_until_it_fits(
    page: Any, tmp_path: Path, open_a_photo: Callable[[Any, Path], Any]
) -> None:
    sizes: list[int] = []
    page.on("request", lambda request: sizes.append(len(request.post_data_buffer or b"")))
    Image.open(EXAMPLES / "cat.jpg").save(tmp_path / "heavy.png")
    limit(page, max_upload_bytes=20_000)
    open_a_photo(page, tmp_path / "heavy.png")
    assert 10_000 < max(sizes) < 20_000
    assert ", shrunk here from 451 × 300" in page.locator("#photo-facts").inner_text()
    assert saved(page, "Overlay")[0] == "heavy_overlay.jpg"


def test_where_no_size_fits_the_photo_is_sent_as_it_is(
    page: Any, cat: Path, open_a_photo: Callable[[Any, Path], Any]
) -> None:
    limit(page, max_upload_bytes=1024)  # the least that a server may be given
    open_a_photo(page, cat)
    assert "here" not in page.locator("#photo-facts").inner_text()


def test_what_is_small_enough_is_sent_as_it_is(opened: Any) -> None:
    assert "here" not in opened.locator("#photo-facts").inner_text()
    assert "Files have the photo's full size." in opened.locator("#save-note").inner_text()


def test_where_nothing_is_found_the_page_says_what_it_knows(
    page: Any, tmp_path: Path, open_a_photo: Callable[[Any, Path], Any]
) -> None:
    Image.new("RGB", (300, 200), (120, 130, 140)).save(tmp_path / "wall.png")
    open_a_photo(page, tmp_path / "wall.png")
    known = "Nothing was found. What voc-largefov knows: aeroplane, bicycle,"
    assert page.locator("#nothing").inner_text().startswith(known)
    page.get_by_role("status").filter(has_text=f"wall.png: {known}").wait_for()
    assert page.get_by_role("button", name="Cut-out").is_disabled()
    assert "There is no cut-out: nothing was found." in page.locator("#save-note").inner_text()
    page.get_by_role("button", name="background", exact=True).click()  # which may still be cut out
    assert page.get_by_role("button", name="Cut-out").is_enabled()


def test_where_something_is_found_nothing_is_said(opened: Any) -> None:
    assert opened.locator("#nothing").inner_text() == ""
    assert opened.get_by_role("button", name="Cut-out").is_enabled()


def test_a_model_without_background_has_the_user_choose(page: Any, cat: Path, by_crf: Segmentation) -> None:
    """As one of cows on grass: that label 0 is no background is what the server says."""

    def tell(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "background": None})

    page.route("**/api/v1/projects", lambda route: tell(route) if route.request.method == "POST" else route.continue_())
    page.set_input_files("#file", {"name": "cat.png", "mimeType": "image/png", "buffer": cat.read_bytes()})
    page.locator("body[data-state=open]").wait_for()
    cutout = page.get_by_role("button", name="Cut-out")
    assert cutout.is_disabled()
    assert "There is no cut-out: tick the classes that it shall hold." in page.locator("#save-note").inner_text()
    page.get_by_label("background in the cut-out").check()
    assert "holds background, on" in page.locator("#save-note").inner_text()
    _, image = saved(page, "Cut-out")
    assert_opaque(image, by_crf.labels == 0)
    page.get_by_label("cat in the cut-out").check()
    _, image = saved(page, "Cut-out")
    assert np.asarray(image)[..., 3].min() >= 254
    page.get_by_label("Opacity of the colours").fill("100")
    assert np.abs(stage(page)[on_stage(by_crf.labels == 0, stage(page))]).max() < 3  # VOC's colour of label 0


def test_what_is_not_ticked_is_not_cut_out(opened: Any) -> None:
    opened.get_by_label("cat in the cut-out").uncheck()
    assert opened.get_by_role("button", name="Cut-out").is_disabled()
    opened.get_by_role("button", name="cat", exact=True).click()  # alone: that is what the cut-out then holds
    assert opened.get_by_role("button", name="Cut-out").is_enabled()


def test_the_slider_uncovers_either_side(opened: Any) -> None:
    opened.get_by_label("Photo", exact=True).check()  # bare on the left
    before = stage(opened)
    opened.mouse.move(*at(opened, 0.5, 0.8))
    opened.mouse.down()
    opened.mouse.move(*at(opened, 0.2, 0.8), steps=4)
    opened.mouse.up()
    assert float(opened.locator("#split").input_value()) == pytest.approx(20, abs=1)
    changed = np.abs(stage(opened) - before).max(axis=2) > 30
    width = changed.shape[1]
    assert changed[:, : int(0.15 * width)].mean() < 0.02
    assert changed[:, int(0.25 * width) : int(0.45 * width)].mean() > 0.5  # the cat has got its colour
    assert changed[:, int(0.6 * width) :].mean() < 0.02


def test_the_colours_opacity(opened: Any, by_crf: Segmentation) -> None:
    before = stage(opened)
    opened.get_by_label("Opacity of the colours").fill("0")
    bare = stage(opened)
    opened.get_by_label("Opacity of the colours").fill("100")
    flat = stage(opened)
    cat = on_stage(by_crf.labels == 8, flat)
    assert np.abs(flat[cat] - (64, 0, 0)).max() < 3  # VOC's colour of cats
    mixed = 0.45 * bare[cat] + 0.55 * flat[cat]
    assert np.abs(before[cat] - mixed).max() < 3
    background = on_stage(by_crf.labels == 0, flat)
    assert np.abs(flat[background] - bare[background]).max() < 3


def test_the_pointer_names_class_and_confidence(opened: Any, by_network: Segmentation, by_crf: Segmentation) -> None:
    tip, around = opened.locator("#tip"), opened.locator("#stage").bounding_box()
    for x, y in ((0.25, 0.5), (0.75, 0.5), (0.02, 0.1), (0.98, 0.5)):
        opened.mouse.move(*at(opened, x, y))
        expected = by_network if x < 0.5 else by_crf
        beliefs = expected.probabilities[:, int(150 * y), int(226 * x)]
        name = expected.label_set.names[beliefs.argmax()]
        tip.wait_for()
        assert tip.inner_text().split("\n") == [name, f"{100 * beliefs.max():.0f} % sure"]
        inside = tip.bounding_box()
        assert around["x"] <= inside["x"] <= inside["x"] + inside["width"] <= around["x"] + around["width"]


def test_a_class_alone(opened: Any, by_crf: Segmentation) -> None:
    opened.get_by_label("Opacity of the colours").fill("0")
    bare = stage(opened)
    opened.get_by_label("Opacity of the colours").fill("55")
    button = opened.get_by_role("button", name="cat", exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    alone = stage(opened)
    cat, rest = on_stage(by_crf.labels == 8, alone), on_stage(by_crf.labels == 0, alone)
    assert np.abs(alone[cat] - bare[cat]).max() < 3
    assert alone[rest].mean() < 0.5 * bare[rest].mean()
    opened.keyboard.press("Escape")
    assert button.get_attribute("aria-pressed") == "false"
    opened.mouse.click(*at(opened, 0.75, 0.5))
    assert button.get_attribute("aria-pressed") == "true"
    opened.mouse.click(*at(opened, 0.75, 0.5))
    assert button.get_attribute("aria-pressed") == "false"


def test_sliders_refine_and_reset_restores(
    opened: Any, segmenter: Segmenter, by_network: Segmentation, by_crf: Segmentation
) -> None:
    opened.get_by_label("Weight").fill("0")
    opened.get_by_role("status").filter(has_text="Refined").wait_for()
    changed = refined(segmenter, by_network, bilateral_weight=0)
    assert shown_shares(opened) == expected_shares(by_network, changed) != expected_shares(by_network, by_crf)
    _, mask = saved(opened, "Mask")
    assert np.array_equal(np.asarray(mask), changed.labels)
    with opened.expect_response("**/segment"):
        opened.get_by_role("button", name="Reset").click()
    opened.locator("body:not(.refining)").wait_for()
    assert shown_shares(opened) == expected_shares(by_network, by_crf)
    weight = f"{segmenter.info.crf.params.bilateral_weight:g}"
    assert opened.locator("[for=bilateral_weight]").all_inner_texts()[1] == weight


def test_an_overtaken_refinement_is_given_up(opened: Any, segmenter: Segmenter, by_network: Segmentation) -> None:
    failed: list[str] = []
    opened.route("**/segment", lambda route: None, times=1)  # never answered
    opened.on("requestfailed", lambda request: failed.append(request.failure))
    with opened.expect_request("**/segment"):
        opened.get_by_label("Iterations", exact=True).fill("5")
    opened.get_by_label("Iterations", exact=True).fill("1")
    opened.get_by_role("status").filter(has_text="Refined").wait_for()
    assert failed == ["net::ERR_ABORTED"]
    expected = refined(segmenter, by_network, iterations=1)
    assert shown_shares(opened) == expected_shares(by_network, expected)


def test_the_iterations_play(opened: Any, segmenter: Segmenter, by_network: Segmentation) -> None:
    opened.get_by_label("Iterations", exact=True).fill("3")
    opened.get_by_role("status").filter(has_text="Refined").wait_for()
    opened.evaluate("""() => {
        window.seen = [];
        const shown = document.getElementById("iteration-shown");
        new MutationObserver(() => window.seen.push(shown.textContent)).observe(shown, {childList: true});
    }""")
    opened.get_by_role("button", name="Play the iterations").click()
    opened.get_by_role("button", name="Pause").wait_for()
    opened.get_by_role("button", name="Play the iterations").wait_for()
    seen = [words for words in opened.evaluate("window.seen") if "computing" not in words]
    assert [words.partition(" · ")[0] for words in seen] == ["0 of 3", "1 of 3", "2 of 3", "3 of 3"]
    assert "% changed" in seen[1]
    for iteration in (0, 1):
        opened.get_by_label("Iteration", exact=True).fill(str(iteration))
        opened.locator("#iteration-shown").filter(has_text=f"{iteration} of 3 ·").wait_for()
        after = refined(segmenter, by_network, iterations=iteration)
        shown = {name: shares for name, shares in shown_shares(opened).items() if shares != ("0.0 %", "0.0 %")}
        assert shown == expected_shares(by_network, after)


def test_results_are_saved(opened: Any, by_crf: Segmentation) -> None:
    labels = by_crf.labels
    name, mask = saved(opened, "Mask")
    assert (name, mask.format, mask.mode) == ("cat.png", "PNG", "P")
    assert np.array_equal(np.asarray(mask), labels)
    name, overlay = saved(opened, "Overlay")
    assert (name, overlay.format, overlay.size) == ("cat_overlay.jpg", "JPEG", (226, 150))
    name, cutout = saved(opened, "Cut-out")
    assert (name, cutout.format, cutout.mode) == ("cat_cutout.png", "PNG", "RGBA")
    assert_opaque(cutout, labels != 0)


def test_files_of_a_large_photo_have_its_size(
    page: Any, segmenter: Segmenter, tmp_path: Path, open_a_photo: Callable[[Any, Path], Any]
) -> None:
    Image.open(EXAMPLES / "cat.jpg").resize((1400, 931)).save(tmp_path / "large.png")
    open_a_photo(page, tmp_path / "large.png")
    assert "1400 × 931 px, shown at 1024 × 681" in page.locator("#photo-facts").inner_text()
    _, mask = saved(page, "Mask")
    assert mask.size == (1400, 931)
    assert (np.asarray(mask) == segmenter.segment(tmp_path / "large.png").labels).mean() > 0.99  # by way of the copy
    page.get_by_label("Iterations", exact=True).fill("0")
    page.get_by_role("status").filter(has_text="Refined").wait_for()
    _, cutout = saved(page, "Cut-out")
    assert_opaque(cutout, segmenter.segment(tmp_path / "large.png", crf=False).labels != 0)


def test_a_file_in_the_making_is_waited_for(opened: Any) -> None:
    asked: list[Any] = []
    opened.route("**/mask.png?*", lambda route: asked.append(route))
    note = opened.locator("#save-note")
    before = note.inner_text()
    for _ in range(3):
        opened.get_by_role("button", name="Mask").click()
    note.filter(has_text="Making the file").wait_for()
    asked[0].abort()
    opened.get_by_text("The server does not answer.").wait_for()
    assert note.inner_text() == before
    assert len(asked) == 1


@pytest.mark.parametrize(("name", "label"), [("cat", 8), ("background", 0)])
def test_a_class_alone_is_cut_out(opened: Any, by_crf: Segmentation, name: str, label: int) -> None:
    opened.get_by_role("button", name=name, exact=True).click()
    assert f"holds {name}," in opened.locator("#save-note").inner_text()
    _, cutout = saved(opened, "Cut-out")
    assert_opaque(cutout, by_crf.labels == label)
