"""Time and memory of `deeplab.crf.refine` against pydensecrf, everything in one run.

    python benchmarks/crf.py [PHOTO] [--runs 7] [--threads 1 2] [--largest-megapixels 8]

The scores are the shipped model's, of PHOTO or of examples/cat.jpg. Runs are interleaved in one process, each with its
lattices built anew. "parity" is normalisation "symmetric" without shortcuts, where both compute the same marginals;
"default" is refine's own. pydensecrf always uses one thread and symmetric normalisation. Memory is what a fresh process
needs at its peak beyond its imports and inputs.

Two labels are the likeliest one and all others together. 150 are the 21, each shared out among seven or eight labels by
smooth random shares. Other sizes are the photo and its probabilities resized.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab.crf import PARITY, CRFParams, Shortcuts, _native, bilateral_kernel, refine, spatial_kernel
from deeplab.crf.exact import filter_exactly
from deeplab.segment import Segmenter

Inputs: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]

PARAMS = CRFParams()
ITERATIONS = 10
EXAMPLE = Path(__file__).parent.parent / "examples" / "cat.jpg"


def inputs_of(photo: Image.Image, probabilities: npt.NDArray[np.float32], size: tuple[int, int]) -> Inputs:
    """Return the photo and its probabilities at a size (width, height)."""
    planes = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) for plane in probabilities]
    resized = np.maximum(np.stack(planes), 0)
    return np.array(photo.resize(size)), resized / resized.sum(0)


def two_labels(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    first = probabilities[probabilities.mean(axis=(1, 2)).argmax()]
    return np.stack([first, 1 - first])


def many_labels(probabilities: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    labels, height, width = probabilities.shape
    random = np.random.default_rng(0)
    small = random.normal(0, 2, (count, height // 32 + 1, width // 32 + 1)).astype(np.float32)
    shares = np.exp([np.asarray(Image.fromarray(plane).resize((width, height), 2)) for plane in small])
    parent = np.arange(count) % labels
    for label in range(labels):
        shares[parent == label] /= shares[parent == label].sum(axis=0)
    return shares * probabilities[parent]


def ours(inputs: Inputs, normalization: str, shortcuts: Shortcuts, threads: int) -> npt.NDArray[np.float32]:
    return refine(
        *inputs, PARAMS, iterations=ITERATIONS, normalization=normalization, shortcuts=shortcuts, threads=threads
    )


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
    run((inputs[0][:8, :8].copy(), inputs[1][:, :8, :8] / inputs[1][:, :8, :8].sum(0)))  # imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    status = Path("/proc/self/status")
    before = _kilobytes(status.read_text(), "VmRSS")
    run(inputs)
    return (_kilobytes(status.read_text(), "VmHWM") - before) * 1024 / 1e6


def _kilobytes(status: str, name: str) -> int:
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def seconds_of(runs: Mapping[str, Callable[[], Any]], count: int) -> dict[str, float]:
    """Return the median time of each, the runs interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(count):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def compare(title: str, inputs: Inputs, competitors: Mapping[str, Callable[[Inputs], Any]], runs: int) -> None:
    print(f"\n{title}\n{'':32}{'median':>10}{'ratio':>8}{'memory':>10}")
    medians = seconds_of({name: partial(run, inputs) for name, run in competitors.items()}, runs)
    reference = next(iter(medians.values()))
    for name, run in competitors.items():
        with get_context("spawn").Pool(1) as pool:
            memory = pool.apply(peak_mb, (run, inputs))
        print(f"{name:32}{medians[name]:9.3f}s{reference / medians[name]:7.2f}x{memory:7.0f} MB", flush=True)


def growth(photo: Image.Image, probabilities: npt.NDArray[np.float32], largest: float, threads: int) -> None:
    print(f"\nGrowth, {threads} threads, whole photos (no tiles)\n{'megapixels':>12}{'parity':>18}{'default':>18}")
    ways = {"parity": ("symmetric", PARITY), "default": ("after", Shortcuts(tile_side_px=0))}
    for megapixels in (size for size in (0.05, 0.2, 0.8, 2, 4, 8) if size <= largest):
        factor = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        inputs = inputs_of(photo, probabilities, (round(photo.width * factor), round(photo.height * factor)))
        runs = {name: partial(ours, inputs, *way, threads) for name, way in ways.items()}
        medians = seconds_of(runs, 3 if megapixels < 1 else 1)
        cells = "".join(f"{s:9.2f}s {s / megapixels:5.2f}/MP" for s in medians.values())
        print(f"{megapixels:12.2f}  {cells}", flush=True)


def bounds(inputs: Inputs) -> None:
    """Print what the sum over all pairs would take, and how long the bytes that must move take at the least."""
    image, probabilities = inputs
    labels, height, width = probabilities.shape
    points = height * width
    features = bilateral_kernel(image, xy_std_px=50, rgb_std=3, weight=1).features[::47]
    values = np.ascontiguousarray(probabilities.reshape(labels, -1)[:, ::47])
    pairs = seconds_of({"pairs": partial(filter_exactly, features, values)}, 1)["pairs"]
    brute = 2 * ITERATIONS * pairs * (points / len(features)) ** 2
    lattices = [
        _native.Lattice(kernel.features, 2)
        for kernel in (
            bilateral_kernel(image, xy_std_px=50, rgb_std=3, weight=1),
            spatial_kernel(height, width, xy_std_px=3, weight=1),
        )
    ]
    # Beliefs and logits are read and messages written once; per lattice, its tables are read, a vertex and a weight for
    # each corner of a point twice, and its vertices written by the splat, read and written by each blur and read by the
    # slice.
    row, moved = 4 * (labels - 1), 3 * points * 4 * (labels - 1)
    for lattice in lattices:
        corners = lattice.dimension + 1
        moved += lattice.nbytes + 8 * corners * points + lattice.vertices * row * (2 * corners + 2)
    table = np.ones(1 << 26, np.float32)
    copied = np.empty_like(table)
    copy = seconds_of({"copy": partial(np.copyto, copied, table)}, 5)["copy"]
    speed = 2 * table.nbytes / copy
    print(f"\nSum over all pairs of points: {brute:,.0f} s on one core, from {len(features)} of {points} points")
    print(
        f"Bytes moved per parity iteration: {moved / 1e6:.0f} MB; {ITERATIONS} of them at the {speed / 1e9:.1f} GB/s "
        f"of one copying thread: {ITERATIONS * moved / speed * 1e3:.0f} ms"
    )


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    )
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {_native.instruction_set()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--largest-megapixels", type=float, default=8)
    arguments = parser.parse_args()

    print(f"{machine()}; Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{arguments.photo.name}, {ITERATIONS} iterations, {PARAMS}; medians of {arguments.runs} runs")
    photo = Image.open(arguments.photo).convert("RGB")
    landscape = photo.width >= photo.height
    probabilities = Segmenter.from_pretrained().segment(photo, crf=False).probabilities
    sizes = [(500, 375), (1000, 750)] if landscape else [(375, 500), (750, 1000)]
    image, few = inputs_of(photo, probabilities, sizes[0])

    competitors: dict[str, Callable[[Inputs], Any]] = {}
    try:
        competitors[f"pydensecrf2 {version('pydensecrf2')}, 1 thread"] = theirs
    except ModuleNotFoundError:
        print("pydensecrf2 is not installed: ratios are to the first line", file=sys.stderr)
    for threads in arguments.threads:
        for mode, normalization, shortcuts in (("parity", "symmetric", PARITY), ("default", "after", Shortcuts())):
            competitors[f"deeplab {mode}, {threads} thread{'s'[: threads > 1]}"] = partial(
                ours, normalization=normalization, shortcuts=shortcuts, threads=threads
            )
    large = max(1, arguments.runs // 2)
    compare("500x375, 21 labels", (image, few), competitors, arguments.runs)
    compare("500x375, 2 labels", (image, two_labels(few)), competitors, arguments.runs)
    compare("500x375, 150 labels", (image, many_labels(few, 150)), competitors, large)
    compare("1000x750, 21 labels", inputs_of(photo, probabilities, sizes[1]), competitors, large)
    growth(photo, probabilities, arguments.largest_megapixels, max(arguments.threads))
    bounds((image, few))


if __name__ == "__main__":
    main()
