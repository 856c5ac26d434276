"""The live page in Chromium: as Python labels the examples, without a server, and what it says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab import Segmenter
from deeplab.images import overlay_image, read_image
from deeplab.label_maps import read_label_map, read_label_set
from deeplab.labels import VOC

from .conftest import ROOT, Visit

EXAMPLES = ROOT / "examples"


def opened(page: Any, photo: Path) -> Any:
    page.set_input_files("#file", photo)
    page.locator("body[data-state=open]").wait_for()
    return page


def saved(page: Any, what: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator(f".save[data-what='{what}']").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def problem(page: Any) -> str:
    """What the page says went wrong, once it does."""
    page.locator("body.has-problem").wait_for()
    said: str = page.locator("#problem p").inner_text()
    return said


def test_the_examples_come_out_as_in_python(visit: Visit, segmenter: Segmenter, tmp_path: Path) -> None:
    page = visit()
    assert page.evaluate("[self.crossOriginIsolated, typeof SharedArrayBuffer]") == [False, "undefined"]
    for name in ("cat", "astronaut", "coffee"):
        path = saved(opened(page, EXAMPLES / f"{name}.jpg"), "mask.png", tmp_path)
        assert path.name == f"{name}.png"
        python = segmenter.segment(EXAMPLES / f"{name}.jpg").labels
        assert (read_label_map(path) == python).mean() >= 0.999
        assert read_label_set(path) == VOC


def test_so_they_do_with_threads_and_the_other_files_hold_what_they_should(
    visit: Visit, segmenter: Segmenter, tmp_path: Path
) -> None:
    page = visit("isolated/")
    assert page.evaluate("self.crossOriginIsolated")
    photo, python = EXAMPLES / "cat.jpg", segmenter.segment(EXAMPLES / "cat.jpg")
    assert (read_label_map(saved(opened(page, photo), "mask.png", tmp_path)) == python.labels).mean() >= 0.999
    cutout = np.array(Image.open(saved(page, "cutout.png", tmp_path)))
    assert (cutout[..., 3] == np.where(python.labels == 0, 0, 255)).mean() >= 0.999
    assert (cutout[..., :3] == read_image(photo))[cutout[..., 3] > 0].mean() > 0.99
    overlay = np.array(Image.open(saved(page, "overlay.jpg", tmp_path))).astype(int)
    expected = overlay_image(read_image(photo), python.labels, VOC).astype(int)
    assert abs(overlay - expected).mean() < 3  # JPEG


def test_large_photos_are_refined_as_in_python(visit: Visit, segmenter: Segmenter, tmp_path: Path) -> None:
    photo = tmp_path / "large.png"
    Image.open(EXAMPLES / "cat.jpg").resize((1900, 1264)).save(photo)  # more than the CRF works on
    page = opened(visit(), photo)
    python = segmenter.segment(photo).labels
    assert (read_label_map(saved(page, "mask.png", tmp_path)) == python).mean() >= 0.999


def test_the_network_is_fetched_once(visit: Visit) -> None:
    page = opened(visit(), EXAMPLES / "cat.jpg")
    again, asked = page.context.new_page(), []
    again.on("request", lambda request: asked.append(request.url.partition("?")[0].rpartition("/")[2]))
    again.goto(page.url)
    opened(again, EXAMPLES / "cat.jpg")
    assert "main.js" in asked
    assert not {"voc-largefov.onnx", "ort-wasm-simd-threaded.wasm"}.intersection(asked)


def test_sliders_and_iterations_work(visit: Visit) -> None:
    page = opened(visit(), EXAMPLES / "cat.jpg")
    before = page.locator("#legend").inner_text()
    slider = page.locator("#bilateral_weight")
    slider.fill(slider.get_attribute("max"))
    page.locator("body.refining").wait_for()
    page.locator("body:not(.refining)").wait_for()
    assert page.locator("#legend").inner_text() != before
    page.locator("#iteration").fill("0")
    page.locator("#iteration-shown", has_text="the network").wait_for()


def test_it_takes_several_photos_and_offers_nothing_that_needs_a_server(visit: Visit) -> None:
    page = visit()
    page.set_input_files("#file", [EXAMPLES / "cat.jpg", EXAMPLES / "coffee.jpg"])
    page.locator("#strip li").nth(1).wait_for()
    page.locator("body[data-state=open]").wait_for()
    for part in ("tools", "undo", "clear", "uses", "new-class", "export"):
        assert page.locator(f"#{part}").is_hidden(), part
    page.locator("#pointer").press("b")  # a brush, elsewhere
    assert page.locator("input[name=tool]:checked").get_attribute("value") == "look"
    page.locator("#segment-all").click()
    page.locator("#status", has_text="All 2 photos are segmented").wait_for(state="attached")
    page.locator("#next").click()
    page.locator("#photo-name", has_text="coffee.jpg").wait_for()
    page.locator("body[data-state=open]").wait_for()
    page.locator("#remove").click()
    page.locator("#photo-name", has_text="cat.jpg").wait_for()


def test_a_browser_without_simd_is_told_so_before_anything_is_downloaded(visit: Visit) -> None:
    asked: list[str] = []
    page = visit(flags="--no-enable-sse4-1")  # which Chromium's SIMD needs
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#file", EXAMPLES / "cat.jpg")
    assert "WebAssembly with SIMD" in problem(page)
    assert not any(".onnx" in url for url in asked)


def test_so_is_one_without_shared_memory(visit: Visit, live: Path) -> None:
    script = (live / "static" / "engine" / "worker.js").read_text()
    none = "WebAssembly.Memory = class { constructor() { throw new TypeError('shared is not known'); } };\n"
    page = visit(route=("**/worker.js", lambda route: answer(route, script + none, "text/javascript")))
    page.set_input_files("#file", EXAMPLES / "cat.jpg")
    assert "WebAssembly with SIMD and threads" in problem(page)


def answer(route: Any, body: str | bytes, content_type: str = "application/octet-stream") -> None:
    route.fulfill(body=body, content_type=content_type)


def test_a_photo_too_large_for_the_memory_is_said_and_the_page_goes_on(visit: Visit, tmp_path: Path) -> None:
    photo = tmp_path / "12-megapixels.jpg"
    Image.open(EXAMPLES / "cat.jpg").resize((4000, 3000)).save(photo)
    page = opened(visit(flags="--wasm-max-mem-pages=3500"), photo)  # 230 MB
    page.locator(".save[data-what='mask.png']").click()
    assert "not enough memory" in problem(page)
    page.locator("#problem button:visible").last.click()
    assert saved(opened(page, EXAMPLES / "cat.jpg"), "mask.png", tmp_path).exists()


def test_too_little_memory_for_the_network_is_said(visit: Visit) -> None:
    page = visit(flags="--wasm-max-mem-pages=1024")
    page.set_input_files("#file", EXAMPLES / "cat.jpg")
    assert "not enough memory" in problem(page)


@pytest.mark.parametrize(
    ("kind", "said"), [("blocked", "could not be loaded"), ("damaged", "damaged"), ("missing", "404")]
)
def test_a_network_that_does_not_arrive_is_said_and_can_be_had_later(
    kind: str, said: str, visit: Visit, live: Path
) -> None:
    size = (live / "static" / "engine" / "voc-largefov.onnx").stat().st_size
    answers = {
        "blocked": lambda route: route.abort(),
        "damaged": lambda route: answer(route, bytes(size)),
        "missing": lambda route: route.fulfill(status=404, body="gone"),
    }
    page = visit(route=("**/*.onnx*", answers[kind]))
    page.set_input_files("#file", EXAMPLES / "cat.jpg")
    message = problem(page)
    assert said in message
    assert "voc-largefov.onnx (20 MB)" in message
    assert page.locator("body").get_attribute("data-state") == "empty"
    if kind == "blocked":
        page.context.unroute("**/*.onnx*")
        opened(page, EXAMPLES / "cat.jpg")


@pytest.mark.parametrize("content", [b"", b"no photo at all", b"II*\0\x08\0\0\0\0\0"])
def test_files_that_the_browser_cannot_read_are_said_to_be_so(content: bytes, visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "strange.jpg"
    path.write_bytes(content)
    page = visit()
    page.set_input_files("#file", path)
    assert problem(page).startswith("strange.jpg cannot be read by this browser; save it as JPEG, PNG or WebP")


def test_the_site_holds_all_that_it_needs_and_says_whose_it_is(live: Path) -> None:
    described = json.loads((ROOT / "live" / "package-lock.json").read_text())
    version = described["packages"]["node_modules/onnxruntime-web"]["version"]
    assert described["packages"][""]["dependencies"] == {"onnxruntime-web": version}
    page = (live / "index.html").read_text()
    assert "Content-Security-Policy" in page
    assert "goes to the server" not in page
