"""Where the time goes from a photo to its label map, against PyTorch with pydensecrf2 and the processor's bound.

    python benchmarks/segment.py PHOTO [--model MODEL] [--runs 7] [--threads 2] [--only stages network]

PHOTO is shrunk to 500 pixels where it is larger. Runs are interleaved in one process, each stage by itself; medians are
printed. "PyTorch" is the same network, read back from the model file, in eager float32; interpolation and softmax are
PyTorch's, the CRF is pydensecrf2 (on one thread, as it has no others) if it can be imported. The bound is the model
file's multiply-adds at the rate at which ONNX Runtime multiplies two large matrices of 8 bits. Needs torch,
safetensors, onnx.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from crf import machine, seconds_of
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from segment_files import small_copy

from deeplab.crf import CRFSettings, refine
from deeplab.images import read_image
from deeplab.label_maps import write_label_map
from deeplab.models import ModelInfo, find_model
from deeplab.network.weights import load_checkpoint
from deeplab.onnx_runtime import onnx_runtime
from deeplab.planes import Planes
from deeplab.preprocessing import pad_to_grid
from deeplab.runtime import ScoreNetwork
from deeplab.scores import likeliest

Array = npt.NDArray[Any]


class Ours:
    """Our stages, each on what the one before it left."""

    def __init__(self, photo: Path, network: ScoreNetwork, folder: Path, threads: int) -> None:
        self.path, self.network, self.info, self.folder, self.threads = photo, network, network.info, folder, threads

    def decode(self) -> None:
        self.photo = read_image(self.path)
        self.seen = self.info.preprocessing.shrink(self.photo)

    def score(self) -> None:
        self.scores = self.network.scores(self.seen)

    def interpolate(self) -> None:
        sizes, stride = (self.photo.shape[:2], self.seen.shape[:2]), self.info.output_stride
        self.probabilities = Planes(self.scores, *sizes, stride, are_scores=True).probabilities()

    def refine(self) -> None:
        self.probabilities = refine(self.photo, self.probabilities, self.info.crf, threads=self.threads)

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
    needed = multiply_adds_of(ours.path, pixels.numpy())
    rows, columns = ours.scores(photo).shape[1:]
    print(
        f"\nNetwork at 306x306 ({rows}x{columns} scores), {threads} threads\n"
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
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    left = np.random.default_rng(2).integers(0, 256, (side, side), dtype=np.uint8)
    return partial(session.run, None, {"left": left}), float(side) ** 3


def multiply_adds_of(path: Path, pixels: Array) -> int:
    """Those of every convolution in a model file: what it sums for each number it gives, times the numbers."""
    model = onnx.load(path)
    convolutions = {  # output: weights
        node.output[0]: node.input[3 if node.op_type == "QLinearConv" else 1]
        for node in model.graph.node
        if node.op_type in ("QLinearConv", "Conv", "MatMulInteger")
    }
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    cut = [name for name in convolutions.values() if name not in weights]  # rows of taps of a layer in bands
    names = [*convolutions, *cut]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    found = onnx_runtime().InferenceSession(model.SerializeToString()).run(names, {"image": pixels})
    values = weights | dict(zip(names, found, strict=True))
    return sum(
        values[output].size * (values[weight].size // values[weight].shape[0 if values[weight].ndim == 4 else 1])
        for output, weight in convolutions.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", choices=("stages", "network"), default=("stages", "network"))
    arguments = parser.parse_args()

    print(
        f"{machine()}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"ONNX Runtime {version('onnxruntime')}, PyTorch {torch.__version__}"
    )
    path, threads = find_model(arguments.model), arguments.threads
    torch.set_num_threads(threads)
    network = ScoreNetwork(path, threads=threads)
    eager = load_checkpoint(path)[0]
    print(f"{path.name}, {network.info.variant}; medians of {arguments.runs} runs, {threads} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = small_copy(arguments.photo, folder)
        if "stages" in arguments.only:
            stages(Ours(photo, network, folder, threads), Theirs(photo, eager, network.info, folder), arguments.runs)
        if "network" in arguments.only:
            network_speed(network, eager, arguments.runs, threads)


if __name__ == "__main__":
    main()
