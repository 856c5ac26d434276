"""Time and memory of `deeplab.crf.refine` against pydensecrf on one photo, in one process, runs interleaved.

    python benchmarks/crf.py [PHOTO] [--scores SCORES.npy] [--labels 21] [--runs 7] [--threads 1 2]

"parity" is normalisation "symmetric", where both compute the same marginals; "default" is refine's own. pydensecrf
always uses one thread and symmetric normalisation. Lattices are built anew in every run, theirs and ours. Memory is
what a fresh process needs at its peak beyond its imports and inputs.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab.crf import CRFParams, _native, refine

Inputs: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]

PARAMS = CRFParams()
ITERATIONS = 10


def draw(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a made-up photo (H, W, 3): shaded, noisy regions."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    centres = random.uniform(0, 1, (30, 2)) * (height, width)
    nearest = np.argmin([np.hypot(y - cy, x - cx) for cy, cx in centres], axis=0)
    colours = random.uniform(20, 235, (30, 3))[nearest]
    return (
        (colours + 25 * np.sin(x / 40 + y / 60)[..., None] + random.normal(0, 4, colours.shape))
        .clip(0, 255)
        .astype(np.uint8)
    )


def guess(height: int, width: int, labels: int) -> npt.NDArray[np.float32]:
    """Return smooth made-up probabilities (L, H, W): a map of an eighth of the size enlarged, like a network's."""
    random = np.random.default_rng(1)
    small = random.normal(0, 2, (labels, height // 8 + 1, width // 8 + 1)).astype(np.float32)
    scores = np.stack([Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in small])
    exponentials = np.exp(scores - scores.max(0))
    return exponentials / exponentials.sum(0)


def ours(inputs: Inputs, normalization: str, threads: int) -> npt.NDArray[np.float32]:
    return refine(*inputs, PARAMS, iterations=ITERATIONS, normalization=normalization, threads=threads)


def theirs(inputs: Inputs) -> npt.NDArray[np.float32]:
    from pydensecrf import densecrf

    image, probabilities = inputs
    labels, height, width = probabilities.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).reshape(labels, -1))
    crf.addPairwiseBilateral(
        sxy=PARAMS.bilateral_xy_std_px, srgb=PARAMS.bilateral_rgb_std, rgbim=image, compat=PARAMS.bilateral_weight
    )
    crf.addPairwiseGaussian(sxy=PARAMS.spatial_xy_std_px, compat=PARAMS.spatial_weight)
    return np.asarray(crf.inference(ITERATIONS)).reshape(probabilities.shape)


def peak_mb(run: Callable[[Inputs], Any], inputs: Inputs) -> float:
    """Return how far one run raises a process's memory at its peak, in MB. Call it in a fresh process, on Linux."""
    run((inputs[0][:8, :8].copy(), inputs[1][:, :8, :8].copy()))  # imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    status = Path("/proc/self/status")
    before = _kilobytes(status.read_text(), "VmRSS")
    run(inputs)
    return (_kilobytes(status.read_text(), "VmHWM") - before) * 1024 / 1e6


def _kilobytes(status: str, name: str) -> int:
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    )
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {_native.instruction_set()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, help="default: a made-up photo of 500x375")
    parser.add_argument("--scores", type=Path, help="probabilities (L, H, W), .npy; default: made-up ones")
    parser.add_argument("--labels", type=int, default=21)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="resize the photo")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()

    width, height = arguments.size or (500, 375)
    image = draw(height, width)
    if arguments.photo:
        photo = Image.open(arguments.photo).convert("RGB")
        image = np.array(photo.resize(arguments.size) if arguments.size else photo)
    height, width, _ = image.shape
    inputs = image, np.load(arguments.scores) if arguments.scores else guess(height, width, arguments.labels)

    competitors: dict[str, Callable[[Inputs], Any]] = {}
    try:
        competitors[f"pydensecrf2 {version('pydensecrf2')}, 1 thread"] = theirs
    except ModuleNotFoundError:
        print("pydensecrf2 is not installed: no ratios", file=sys.stderr)
    for threads in arguments.threads:
        for mode, normalization in (("parity", "symmetric"), ("default", "after")):
            competitors[f"deeplab {mode}, {threads} thread{'s'[: threads > 1]}"] = partial(
                ours, normalization=normalization, threads=threads
            )

    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(arguments.runs):
        for name, run in competitors.items():
            start = time.perf_counter()
            run(inputs)
            seconds[name].append(time.perf_counter() - start)

    print(
        f"{machine()}; Python {platform.python_version()}, NumPy {np.__version__}, deeplab-crf {version('deeplab-crf')}"
    )
    print(
        f"{width}x{height}, {len(inputs[1])} labels, {ITERATIONS} iterations, {PARAMS}; median of {arguments.runs} runs"
    )
    reference = statistics.median(next(iter(seconds.values())))
    print(f"{'':32}{'median':>10}{'fastest':>10}{'ratio':>8}{'memory':>10}")
    for name, run in competitors.items():
        with get_context("spawn").Pool(1) as pool:
            memory = pool.apply(peak_mb, (run, inputs))
        median = statistics.median(seconds[name])
        print(f"{name:32}{median:9.3f}s{min(seconds[name]):9.3f}s{reference / median:7.2f}x{memory:7.0f} MB")


if __name__ == "__main__":
    main()
