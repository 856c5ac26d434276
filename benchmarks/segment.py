"""Where the time goes from a photo to its label map, against PyTorch with pydensecrf2 and the processor's bound.

    python benchmarks/segment.py PHOTO [--model MODEL] [--checkpoint CHECKPOINT] [--runs 7] [--threads 2]
                                 [--only stages network folder sizes copies]

PHOTO is shrunk to 500 pixels where it is larger, but for the table of sizes. Runs are interleaved in one process, each
stage by itself; medians are printed. "PyTorch" is the same network in eager float32, from CHECKPOINT or with random
weights of the model's variant, which are as fast; interpolation and softmax are PyTorch's, the CRF is pydensecrf2 (on
one thread, as it has no others) if it can be imported. The bound is the network's multiply-adds at the rate at which
ONNX Runtime multiplies two large matrices of 8 bits. Needs torch, safetensors and onnx.

Memory is the peak of a fresh process that segments one photo, its imports and the model included, on Linux. "Copies" is
how far the labels move where the CRF refines a smaller copy of a photo, here PHOTO enlarged, and not the photo itself.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from crf import machine, seconds_of
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from deeplab import planes
from deeplab.crf import CRFSettings
from deeplab.images import read_image, write_jpeg
from deeplab.label_maps import write_label_map
from deeplab.models import ModelInfo, find_model
from deeplab.network.build import build_network
from deeplab.network.variants import find_variant
from deeplab.network.weights import load_checkpoint
from deeplab.planes import likeliest
from deeplab.preprocessing import pad_to_grid
from deeplab.runtime import ScoreNetwork
from deeplab.scores import label_probabilities, refine_in_place
from deeplab.segment import Segmenter, shrink_for_network

Array = npt.NDArray[Any]

FOLDER_PHOTOS = 24
ENLARGED_MEGAPIXELS = 6
MEGAPIXELS = (0.1, 0.2, 0.5, 1, 2, 4, 8, 12)


class Ours:
    """Our stages, each on what the one before it left."""

    def __init__(self, photo: Path, network: ScoreNetwork, folder: Path, threads: int) -> None:
        self.path, self.network, self.info, self.folder, self.threads = photo, network, network.info, folder, threads

    def decode(self) -> None:
        self.photo = read_image(self.path)
        self.seen = shrink_for_network(self.photo)

    def score(self) -> None:
        self.scores = self.network.scores(self.seen)

    def interpolate(self) -> None:
        sizes = self.photo.shape[:2], self.seen.shape[:2]
        self.probabilities = label_probabilities(self.scores, *sizes, self.info.output_stride)

    def refine(self) -> None:
        refine_in_place(self.photo, self.probabilities, self.info.crf, threads=self.threads)

    def choose(self) -> None:
        self.labels, self.confidence = likeliest(self.probabilities)

    def write(self) -> None:
        write_label_map(self.folder / "ours.png", self.labels, self.info.label_set, overwrite=True)


class Theirs:
    """PyTorch's stages, and pydensecrf2's."""

    def __init__(self, photo: Path, network: torch.nn.Module, info: ModelInfo, folder: Path) -> None:
        self.path, self.network, self.info, self.folder = photo, network, info, folder

    def decode(self) -> None:
        self.photo = np.array(Image.open(self.path).convert("RGB"))

    def score(self) -> None:
        self.input = torch.from_numpy(pad_to_grid(self.info.preprocessing.apply(self.photo)))
        with torch.inference_mode():
            self.scores = self.network.aligned(self.input)

    def interpolate(self) -> None:
        height, width = self.photo.shape[:2]
        dense = torch.nn.functional.interpolate(
            self.scores, size=self.input.shape[2:], mode="bilinear", align_corners=True
        )
        self.probabilities = dense[0, :, :height, :width].softmax(0).numpy()

    def refine(self) -> None:
        self.probabilities = pydensecrf(self.photo, self.probabilities, self.info.crf)

    def choose(self) -> None:
        self.labels = self.probabilities.argmax(axis=0).astype(np.uint8)

    def write(self) -> None:
        image = Image.fromarray(self.labels)
        image.putpalette(self.info.label_set.colours().tobytes())
        image.save(self.folder / "theirs.png")


STAGES = {
    "decode": "decode, resize",
    "score": "network",
    "interpolate": "interpolation, softmax",
    "refine": "CRF, 10 iterations",
    "choose": "likeliest label",
    "write": "write the label map",
}


def pydensecrf(image: Array, probabilities: Array, crf: CRFSettings) -> Array:
    from pydensecrf import densecrf

    labels, height, width = probabilities.shape
    model, params = densecrf.DenseCRF2D(width, height, labels), crf.params
    model.setUnaryEnergy(-np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).reshape(labels, -1))
    model.addPairwiseBilateral(
        sxy=params.bilateral_xy_std_px, srgb=params.bilateral_rgb_std, rgbim=image, compat=params.bilateral_weight
    )
    model.addPairwiseGaussian(sxy=params.spatial_xy_std_px, compat=params.spatial_weight)
    return np.asarray(model.inference(crf.iterations)).reshape(probabilities.shape)


def has_pydensecrf() -> bool:
    try:
        import pydensecrf.densecrf as _  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def stages(ours: Ours, theirs: Theirs, runs: int) -> None:
    known = [stage for stage in STAGES if stage != "refine" or has_pydensecrf()]
    seconds: dict[tuple[str, int], list[float]] = {(stage, who): [] for stage in STAGES for who in (0, 1)}
    for run in range(runs + 1):  # the first warms up
        for who, side in enumerate((ours, theirs)):
            for stage in STAGES if who == 0 else known:
                start = time.perf_counter()
                getattr(side, stage)()
                if run:
                    seconds[stage, who].append(time.perf_counter() - start)
    height, width = ours.photo.shape[:2]
    crf = f"pydensecrf2 {version('pydensecrf2')}" if has_pydensecrf() else "no CRF"
    print(f"\nStages, {width}x{height}\n{'':30}{'deeplab':>10}{'PyTorch, ' + crf:>30}{'ratio':>8}")
    totals = [0.0, 0.0]
    for stage, title in STAGES.items():
        medians = [statistics.median(seconds[stage, who] or [float("nan")]) for who in (0, 1)]
        totals = [total + (0 if np.isnan(m) else m) for total, m in zip(totals, medians, strict=True)]
        print(f"{title:30}{medians[0]:9.4f}s{medians[1]:29.4f}s{medians[1] / medians[0]:7.1f}x")
    print(f"{'all of them':30}{totals[0]:9.4f}s{totals[1]:29.4f}s{totals[1] / totals[0]:7.1f}x")
    share = np.mean(ours.labels == theirs.labels)
    print(f"{100 * share:.2f} % of the pixels are labelled alike", flush=True)


def network_speed(ours: ScoreNetwork, theirs: torch.nn.Module, runs: int, threads: int) -> None:
    """The paper's measure: photos of 306x306 a second, the network alone."""
    photo = np.random.default_rng(0).integers(0, 256, (306, 306, 3), dtype=np.uint8)
    pixels = torch.from_numpy(pad_to_grid(ours.info.preprocessing.apply(photo)))

    def eager() -> None:
        with torch.inference_mode():
            theirs.aligned(pixels)

    product, multiply_adds = int8_product(threads)
    competitors = {"ours": partial(ours.scores, photo), "eager": eager}
    seconds_of(competitors, 1)
    medians = seconds_of(competitors, runs)
    rate = multiply_adds / min(seconds_of({"": product}, 1)[""] for _ in range(3 * runs))
    needed = network_multiply_adds(theirs, pixels)
    print(
        f"\nNetwork at 306x306, {threads} threads\n"
        f"deeplab {1 / medians['ours']:6.2f} photos/s; PyTorch eager float32 {1 / medians['eager']:6.2f}: "
        f"{medians['eager'] / medians['ours']:.1f}x\n"
        f"bound: {needed / 1e9:.1f}e9 multiply-adds at {rate / 1e9:.0f}e9/s, the fastest of 8-bit matrices: "
        f"{needed / rate:.4f} s, "
        f"{100 * needed / rate / medians['ours']:.0f} % of the network's {medians['ours']:.4f} s",
        flush=True,
    )


def int8_product(threads: int, side: int = 2048) -> tuple[Callable[[], Any], float]:
    """Return a product of two large matrices, unsigned by signed 8 bits, and its multiply-adds."""
    right = numpy_helper.from_array(np.random.default_rng(1).integers(-127, 128, (side, side), dtype=np.int8), "right")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, [side, side])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [side, side])],
        [right],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    left = np.random.default_rng(2).integers(0, 256, (side, side), dtype=np.uint8)
    return partial(session.run, None, {"left": left}), float(side) ** 3


def network_multiply_adds(network: torch.nn.Module, pixels: torch.Tensor) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.aligned(pixels)
    return counter.get_total_flops() // 2


FRESH = r"""
import re, sys, time
from pathlib import Path
from deeplab.segment import Segmenter
segmenter = Segmenter.from_pretrained(sys.argv[1], threads=int(sys.argv[3]))
start = time.perf_counter()
segmenter(sys.argv[2])
seconds = time.perf_counter() - start
print(seconds, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def sizes(photo: Path, model: Path, folder: Path, threads: int) -> None:
    """Each size in a process of its own, so that the peak is its own and the first run counts."""
    print(f"\nSizes, {threads} threads, first photo of a fresh process")
    print(f"{'megapixels':>12}{'time':>10}{'s/MP':>8}{'peak':>10}")
    image = Image.open(photo).convert("RGB")
    for megapixels in MEGAPIXELS:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        image.resize((round(image.width * factor), round(image.height * factor))).save(folder / "sized.png")
        command = [sys.executable, "-c", FRESH, str(model), str(folder / "sized.png"), str(threads)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        seconds, peak = float(found[0]), int(found[1]) * 1024 / 1e6
        print(f"{megapixels:12.2f}{seconds:9.2f}s{seconds / megapixels:8.2f}{peak:7.0f} MB", flush=True)


def copies(photo: Path, model: Path, threads: int) -> None:
    """The CRF on ever smaller copies, as `deeplab.planes.MAX_CRF_PIXELS` bounds them, against it on the whole photo."""
    image = Image.open(photo).convert("RGB")
    factor = (ENLARGED_MEGAPIXELS * 1e6 / (image.width * image.height)) ** 0.5
    large = np.array(image.resize((round(image.width * factor), round(image.height * factor))))
    segmenter = Segmenter.from_pretrained(model, threads=threads)
    print(f"\nThe CRF on copies of {photo.name} at {ENLARGED_MEGAPIXELS} megapixels")
    print(f"{'megapixels':>12}{'other labels':>14}{'mean |Δ confidence|':>22}{'time':>8}")
    whole = None
    for megapixels in (ENLARGED_MEGAPIXELS, 3, 2, 1, 0.5):
        with patch.object(planes, "MAX_CRF_PIXELS", megapixels * 1e6):
            start = time.perf_counter()
            result = segmenter(large)
            seconds = time.perf_counter() - start
        whole = result if whole is None else whole
        other = 100 * np.mean(result.labels != whole.labels)
        moved = np.abs(result.confidence() - whole.confidence()).mean()
        print(f"{megapixels:12.1f}{other:12.3f} %{moved:22.5f}{seconds:7.1f}s", flush=True)


def folder_speed(photo: Path, model: Path, folder: Path, threads: int) -> None:
    """The command: from a cold shell with one photo, and with a folder of them against one after the other."""
    photos = folder / "photos"
    photos.mkdir()
    for number in range(FOLDER_PHOTOS):
        shutil.copy(photo, photos / f"{number:03}{photo.suffix}")
    command = [sys.executable, "-m", "deeplab", "segment", "--model", str(model), "--threads", str(threads)]

    def shell(source: Path) -> None:
        with tempfile.TemporaryDirectory() as results:
            subprocess.run([*command, str(source), "-o", results], capture_output=True, check=True)

    segmenter = Segmenter.from_pretrained(model, threads=threads)

    def warm() -> None:
        result = segmenter(photo)
        result.save(folder / "warm.png", overwrite=True)
        write_jpeg(folder / "warm.jpg", np.asarray(result.overlay()), overwrite=True)

    shell(photo)
    warm()
    one = seconds_of({"warm": warm, "cold": partial(shell, photo)}, 5)
    many = seconds_of({"folder": partial(shell, photos)}, 2)["folder"]
    each = (many - one["cold"]) / (FOLDER_PHOTOS - 1)
    print(
        f"\nOne photo, read, segmented and written with its overlay: warm {one['warm']:.3f} s, "
        f"from a cold shell {one['cold']:.3f} s\n"
        f"A folder of {FOLDER_PHOTOS}: {many:.2f} s, {FOLDER_PHOTOS / many:.2f} photos/s; beyond the first "
        f"{each:.3f} s each, {one['warm'] / each:.2f}x one after the other",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parts = ("stages", "network", "folder", "sizes", "copies")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()

    print(
        f"{machine()}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}"
    )
    path, threads = find_model(arguments.model), arguments.threads
    torch.set_num_threads(threads)
    network = ScoreNetwork(path, threads=threads)
    if arguments.checkpoint:
        eager = load_checkpoint(arguments.checkpoint)[0]
    else:
        eager = build_network(find_variant(network.info.variant), len(network.info.label_set))
    eager = eager.eval()
    print(f"{path.name}, {network.info.variant}; medians of {arguments.runs} runs, {threads} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        image = Image.open(arguments.photo).convert("RGB")
        image.thumbnail((500, 500))
        image.save(photo, quality=92)
        if "stages" in arguments.only:
            stages(Ours(photo, network, folder, threads), Theirs(photo, eager, network.info, folder), arguments.runs)
        if "network" in arguments.only:
            network_speed(network, eager, arguments.runs, threads)
        if "folder" in arguments.only:
            folder_speed(photo, path, folder, threads)
        if "sizes" in arguments.only:
            sizes(arguments.photo, path, folder, threads)
        if "copies" in arguments.only:
            copies(arguments.photo, path, threads)


if __name__ == "__main__":
    main()
