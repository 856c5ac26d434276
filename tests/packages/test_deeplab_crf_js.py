"""The npm package: built from the same native core, and alike with Python on the project's examples."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab import Segmenter
from deeplab.crf import CRFParams, CRFSettings, Shortcuts, refine
from deeplab.images import read_image

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages" / "deeplab-crf"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built apart from the tree."""
    if missing := [tool for tool in ("node", "emcc") if shutil.which(tool) is None]:
        pytest.skip(f"needs {' and '.join(missing)} (apt install nodejs emscripten)")
    root = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "native", root / "native")
    shutil.copytree(PACKAGE, root / "packages" / "deeplab-crf")
    shutil.copy(ROOT / "LICENSE", root)
    built = root / "packages" / "deeplab-crf"
    subprocess.run([built / "build"], check=True, capture_output=True)
    return built


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained()


def settings_of(crf: CRFSettings) -> dict[str, Any]:
    return {**crf.params.to_dict(), "iterations": crf.iterations, "normalization": crf.normalization}


def refined_by_node(
    package: Path, folder: Path, photo: NDArray[np.uint8], probabilities: NDArray[np.float32],
    fixed: NDArray[np.bool_] | None = None, **settings: Any,
) -> NDArray[np.float32]:  # fmt: skip
    (folder / "photo.bin").write_bytes(photo.tobytes())
    (folder / "probabilities.bin").write_bytes(np.ascontiguousarray(probabilities).tobytes())
    if fixed is not None:
        (folder / "fixed.bin").write_bytes(fixed.astype(np.uint8).tobytes())
    height, width = photo.shape[:2]
    script = Path(__file__).with_name("refine_files.mjs")
    subprocess.run(
        ["node", script, package / "index.js", folder, str(width), str(height), json.dumps(settings)], check=True
    )
    return np.fromfile(folder / "refined.bin", np.float32).reshape(-1, height, width)


@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee"])
def test_examples_come_out_as_in_python(name: str, package: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    photo = read_image(ROOT / "examples" / f"{name}.jpg")
    found = segmenter.segment(photo, crf=False).probabilities
    assert found is not None
    crf = segmenter.info.crf
    here = refined_by_node(package, tmp_path, photo, found, **settings_of(crf))
    python = refine(photo, found, crf)
    assert (here.argmax(0) == python.argmax(0)).mean() >= 0.999
    np.testing.assert_allclose(here, python, rtol=0, atol=1e-4)
    assert (python.argmax(0) != found.argmax(0)).mean() > 0.002  # the CRF did something to compare


@pytest.fixture(scope="module")
def address(package: Path) -> Iterator[str]:
    """Where the package is served, beside an empty page."""
    (package / "empty.html").write_text("<!doctype html><title>empty</title>")
    served = partial(SimpleHTTPRequestHandler, directory=str(package))
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


IN_A_PAGE = """async ([width, height, settings]) => {
    const { refine, likeliest } = await import("/index.js");
    const read = async (name) => (await fetch(name)).arrayBuffer();
    const photo = { data: new Uint8ClampedArray(await read("photo.bin")), width, height };
    const refined = await refine(photo, new Float32Array(await read("probabilities.bin")), settings);
    return [...likeliest(refined, width * height)];
}"""


def test_chromium_computes_the_same(package: Path, address: str, browser: Any, segmenter: Segmenter) -> None:
    photo = read_image(ROOT / "examples" / "cat.jpg")
    height, width = photo.shape[:2]
    found, crf = segmenter.segment(photo, crf=False).probabilities, segmenter.info.crf
    assert found is not None
    (package / "photo.bin").write_bytes(np.dstack([photo, np.full((height, width), 255, np.uint8)]).tobytes())
    (package / "probabilities.bin").write_bytes(np.ascontiguousarray(found).tobytes())
    page = browser.new_page()
    page.goto(f"{address}/empty.html")
    labels = page.evaluate(IN_A_PAGE, [width, height, settings_of(crf)])
    python = refine(photo, found, crf).argmax(0)
    assert (np.reshape(labels, (height, width)) == python).mean() >= 0.999


SETTINGS = CRFSettings(CRFParams(6, 30, 9, 4, 2.5), 5)


@pytest.mark.parametrize(
    ("crf", "shortcuts"),
    [
        (SETTINGS, Shortcuts()),
        (replace(SETTINGS, normalization="symmetric"), Shortcuts(prune_below=0)),
        (replace(SETTINGS, normalization="before"), Shortcuts()),
        (CRFSettings(CRFParams(0.02, 30, 9, 0.01, 2.5), 5, "none"), Shortcuts()),
        (CRFSettings(CRFParams(spatial_xy_std_px=15)), Shortcuts()),
        (CRFSettings(iterations=0), Shortcuts()),
        (CRFSettings(CRFParams(6, 8, 9)), Shortcuts(tile_side_px=48)),
    ],
)
def test_so_does_every_setting(crf: CRFSettings, shortcuts: Shortcuts, package: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    photo = random.integers(0, 255, (9, 12, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    photo[::3] = photo[::3] // 8 * 7
    found = random.dirichlet(np.ones(4), photo.shape[:2]).astype(np.float32).transpose(2, 0, 1)
    fixed = random.random(photo.shape[:2]) < 0.1
    here = refined_by_node(
        package, tmp_path, photo, found, fixed, **settings_of(crf), prune_below=shortcuts.prune_below,
        tile_side_px=shortcuts.tile_side_px,
    )  # fmt: skip
    np.testing.assert_allclose(here, refine(photo, found, crf, fixed=fixed, shortcuts=shortcuts), rtol=0, atol=1e-4)


def test_its_own_tests_pass(package: Path) -> None:
    done = subprocess.run(["node", "--test", package / "test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_package_holds_what_it_lists(package: Path) -> None:
    described = json.loads((package / "package.json").read_text())
    assert [name for name in described["files"] if not (package / name).is_file()] == []
    assert (package / "core.wasm").stat().st_size < 1_000_000
    assert described["version"] in (ROOT / "pyproject.toml").read_text()


def test_what_is_documented_is_what_there_is() -> None:
    code, types = ((PACKAGE / name).read_text() for name in ("checks.js", "index.d.ts"))
    block = code.partition("DEFAULTS = Object.freeze({")[2].partition("})")[0]
    described = types.partition("interface Settings {")[2].partition("\n}")[0]
    defaults = dict(re.findall(r"^  (\w+): (.*),$", block, flags=re.MULTILINE))
    assert list(defaults) == re.findall(r"^  (\w+)\?: ", described, flags=re.MULTILINE)
    ours = {**CRFParams().to_dict(), "iterations": 10, "normalization": '"after"'}
    ours |= {"prune_below": Shortcuts().prune_below, "tile_side_px": Shortcuts().tile_side_px}
    assert {name: value.strip('"') for name, value in defaults.items() if name != "fixed"} == {
        name: f"{value:g}" if isinstance(value, float) else str(value).strip('"') for name, value in ours.items()
    }
