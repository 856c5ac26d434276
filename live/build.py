"""Builds the live page: the page of `deeplab serve`, with an engine that works in the browser's tab.

``python live/build.py FOLDER`` writes it into a new folder, such as ``site/live``, which any server of files can serve.
It needs Emscripten for the CRF, and ONNX Runtime's web build from npm: ``npm ci --prefix live``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from deeplab.crf.params import PARAMETERS
from deeplab.look import MAX_CRF_PIXELS
from deeplab.models import find_model
from deeplab.runtime import ScoreNetwork
from deeplab.server.page_api import WORKING_SIDE_PX
from deeplab.server.schemas import described_labels

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = ROOT / "src" / "deeplab" / "server" / "page"
CRF = ROOT / "packages" / "deeplab-crf"
ORT = HERE / "node_modules" / "onnxruntime-web"

MOST_PIXELS = 16_000_000  # of a photo: canvases of some browsers have no more
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'none'; object-src 'none'"
)
SWITCHES = {  # of the page's text
    '<meta name="color-scheme"': f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n  '
    '<meta name="color-scheme"',
    '<script type="module"': '<link rel="stylesheet" href="static/tab.css">\n  <script type="module"',
    '<fieldset class="choice" id="tools">': '<fieldset class="choice" id="tools" disabled>',
    '<ul id="known-classes">': '<ul id="known-classes" inert>',
    "What it does not find, a few strokes of a brush teach it.": "The first photo fetches the network, 34 MB.",
    "Photos go to the server that shows this page, and nowhere else.": "Photos stay in this tab: nothing is sent.",
    'For programs: <a href="openapi.json">HTTP API</a>.': "This page runs in your browser alone.",
}


def build(folder: Path) -> None:
    """Write the live page into `folder`, which must not exist."""
    if not ORT.is_dir():
        sys.exit("ONNX Runtime's web build is missing: run npm ci --prefix live")
    folder.mkdir(parents=True)
    static, engine = folder / "static", folder / "static" / "engine"
    shutil.copytree(PAGE, static)
    shutil.copytree(HERE / "page", static, dirs_exist_ok=True)
    shutil.copytree(HERE / "engine", engine)
    (static / "index.html").rename(folder / "index.html")
    _switch(folder / "index.html")
    _copy_crf(engine / "crf")
    core = _copy_onnx_runtime(engine / "ort")
    _describe(find_model(), engine, core)


def _switch(page: Path) -> None:
    text = page.read_text()
    for server, tab in SWITCHES.items():
        if text.count(server) != 1:
            sys.exit(f"{page.name} has {text.count(server)} times {server!r}; expected one, to be {tab!r}")
        text = text.replace(server, tab)
    page.write_text(text)


def _copy_crf(folder: Path) -> None:
    core, sources = CRF / "core.wasm", [*(ROOT / "native").iterdir(), *(CRF / "native").iterdir(), CRF / "build"]
    if not core.exists() or core.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        subprocess.run([CRF / "build"], check=True)
    folder.mkdir()
    for name in json.loads((CRF / "package.json").read_text())["files"]:
        shutil.copy(CRF / name, folder)


def _copy_onnx_runtime(folder: Path) -> Path:
    folder.mkdir()
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(ORT / "dist" / name, folder)
    return folder / "ort-wasm-simd-threaded.wasm"


def _describe(model: Path, engine: Path, core: Path) -> None:
    """Copy a model's file, and write what the engine has to know of it as a module."""
    copy = engine / model.name
    shutil.copy(model, copy)
    info = ScoreNetwork(model).info
    starts = {**info.crf.params.to_dict(), "iterations": info.crf.iterations}
    told: dict[str, Any] = {
        "name": info.name,
        "labels": [label.model_dump() for label in described_labels(info.label_set)],
        "background": info.label_set.background,
        "label_set": {**info.label_set.to_dict(), "palette": info.label_set.colours().tolist()},
        "preprocessing": info.preprocessing.to_dict(),
        "output_stride": info.output_stride,
        "crf": {
            **info.crf.params.to_dict(),
            "iterations": info.crf.iterations,
            "normalization": info.crf.normalization,
        },
        "parameters": starts,
        "limits": {
            name: (min(parameter.usual[0], starts[name]), max(parameter.usual[1], starts[name]))
            for name, parameter in PARAMETERS.items()
        },
        "working_side_px": WORKING_SIDE_PX,
        "max_crf_pixels": MAX_CRF_PIXELS,
        "max_pixels": MOST_PIXELS,
        "files": [_file(copy, engine), _file(core, engine)],
    }
    (engine / "model.js").write_text(
        "/** What the model's file says of itself, and the package of the CRF and the page. */\n\n"
        f"export const MODEL = {json.dumps(told, ensure_ascii=False)};\n"
    )


def _file(path: Path, root: Path) -> dict[str, Any]:
    content = path.read_bytes()
    name = path.relative_to(root).as_posix()
    return {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python live/build.py FOLDER")
    build(Path(sys.argv[1]))
