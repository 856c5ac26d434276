"""The command line in this process, and a tiny network with random weights that stands in for a trained one."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from deeplab import cli
from deeplab.data.samples import Sample
from deeplab.evaluation.stored_scores import StoredScores, store_scores
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC
from deeplab.segment import Segmenter

# For PyTorch: threads that wait for one another are slow on tiny networks, and slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts what it puts in the background with Ctrl-C ignored, and processes pass that on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test asserts no time, and an example's first run may be a slow one.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

MakeModel = Callable[..., Path]


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def interpolated() -> Callable[..., NDArray[np.float64]]:
    """Scores (L, h, w) at every pixel of a photo of `size`, in NumPy's own interpolation, one line at a time."""

    def interpolated(scores: NDArray[Any], size: tuple[int, int], seen: tuple[int, int]) -> NDArray[np.float64]:
        result = scores.astype(np.float64)
        for axis, (full, small) in enumerate(zip(size, seen, strict=True), start=1):
            pixels = np.linspace(0.5, full - 0.5, full) * small / full - 0.5  # centre to centre
            knots = 8 * np.arange(result.shape[axis])
            result = np.apply_along_axis(lambda line: np.interp(pixels, knots, line), axis, result)  # noqa: B023
        return result

    return interpolated


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["deeplab", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        status = ended.value.code
        return Outcome(status if isinstance(status, int) else 0, out, err)

    return run


@pytest.fixture(scope="module")  # while it runs, no other asyncio loop can
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("needs Chromium")
    sync_api.expect.set_options(timeout=60_000)  # far more than a busy machine needs
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        yield started
        started.close()


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Return a function that writes an ONNX network: 3x3 convolutions of stride 2, as many as `layers`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from deeplab.labels import VOC, LabelSet
    from deeplab.models import ModelInfo
    from deeplab.preprocessing import PAPER

    def make(
        name: str = "tiny",
        *,
        label_set: LabelSet = VOC,
        channels: int | None = None,
        tensors: tuple[str, str] = ("image", "scores"),
        metadata: str | None = None,
        layers: int = 3,
        size: int | str = "H",
    ) -> Path:
        widths = (3, *[8] * (layers - 1), channels or len(label_set))
        random = np.random.default_rng(2015)
        nodes, weights, source = [], [], tensors[0]
        for layer, (width_in, width_out) in enumerate(pairwise(widths)):
            target = tensors[1] if layer == len(widths) - 2 else f"layer{layer}"
            weight = random.normal(0, (0.02, 0.3, 0.3)[layer], (width_out, width_in, 3, 3)).astype(np.float32)
            weights.append(numpy_helper.from_array(weight, f"weight{layer}"))
            nodes.append(
                helper.make_node("Conv", [source, f"weight{layer}"], [target], strides=[2, 2], pads=[1, 1, 1, 1])
            )
            source = target
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(tensors[0], TensorProto.FLOAT, [1, 3, size, "W"])],
            [helper.make_tensor_value_info(tensors[1], TensorProto.FLOAT, [1, widths[-1], "h", "w"])],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        info = ModelInfo(name, "largefov", label_set, PAPER, card={"data": "none", "scores": {"mean IoU": 0.0}})
        if metadata != "":
            helper.set_model_props(model, {"deeplab": metadata or info.to_json()})
        path = tmp_path_factory.mktemp("model") / f"{name}.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: MakeModel) -> Path:
    """A model over VOC's 21 classes."""
    return make_model()


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A 60x90 photo: noisy blue above noisy orange."""
    image = np.zeros((60, 90, 3), dtype=np.uint8)
    image[:30], image[30:] = (40, 80, 200), (230, 140, 30)
    noise: NDArray[Any] = np.random.default_rng(7).integers(-20, 21, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    """Three small noisy photos, each with a rectangle of one class and a strip of void in its mask."""
    random = np.random.default_rng(5)
    folder = tmp_path / "set"
    folder.mkdir()
    made = []
    for number, (height, width) in enumerate(((40, 61), (57, 33), (9, 80))):
        labels = np.zeros((height, width), dtype=np.uint8)
        labels[2 : height // 2, 5 : width // 2] = 8 + number
        labels[height // 2, :] = VOC.void
        pixels = random.integers(0, 60, (height, width, 3)) + 60 * (labels[..., None] % 3)
        sample = Sample(f"photo{number}", folder / f"{number}.ppm", folder / f"{number}.png", VOC)
        Image.fromarray(pixels.astype(np.uint8)).save(sample.photo)
        write_label_map(sample.mask, labels, VOC)
        made.append(sample)
    return tuple(made)


@pytest.fixture
def scores(samples: Sequence[Sample], tmp_path: Path, tiny_model: Path) -> StoredScores:
    """The tiny network's scores of the three photos."""
    return store_scores(samples, tmp_path / "scores", Segmenter.from_pretrained(tiny_model, threads=1))
