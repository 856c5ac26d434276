"""Time and deviation of `deeplab.crf.torch` on one photo, on the CPU and on a GPU where there is one.

    python benchmarks/crf_torch.py [PHOTO] [--size 500 375] [--small 40 30] [--runs 7]

Scores are the shipped network's for the photo. The yardstick is `DenseCRF` on the CPU, its fused native loop; lattices
are built anew in every run, theirs and ours. The exact sum and the gradients are compared on a small copy, where a CPU
can afford every pair of pixels; a GPU times the exact sum on the whole photo too.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from deeplab.crf import CRFSettings, DenseCRF, bilateral_kernel, spatial_kernel
from deeplab.crf.torch import MeanField, bilateral_features, gaussian_filter, spatial_features
from deeplab.segment import Segmenter

SETTINGS = CRFSettings(iterations=10, normalization="symmetric")
PHOTO = Path(__file__).parent.parent / "examples" / "cat.jpg"
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, and backward": {"backward": True},
    "float32, and backward, σ too": {"backward": True, "learn_stds": True},
    "float64": {"dtype": torch.float64},
}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


class Scene:
    """A photo with its network's log-probabilities, as NumPy (H, W, 3), (L, H, W) and as a batch of one."""

    def __init__(self, photo: Image.Image, segmenter: Segmenter, size: tuple[int, int]) -> None:
        self.image = np.array(photo.resize(size, Image.Resampling.LANCZOS))
        probabilities = segmenter.segment(self.image, crf=False).probabilities
        self.logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        self.photos = torch.from_numpy(self.image).permute(2, 0, 1)[None]
        self.batch = torch.from_numpy(self.logits)[None]

    def dense_crf(self, method: str) -> npt.NDArray[np.float32]:
        """Return the marginals (L, H, W) of the NumPy and native implementation."""
        p, how = SETTINGS.params, SETTINGS.normalization
        kernels = [
            bilateral_kernel(
                self.image,
                xy_std_px=p.bilateral_xy_std_px,
                rgb_std=p.bilateral_rgb_std,
                weight=p.bilateral_weight,
                normalization=how,
            ),
            spatial_kernel(
                *self.image.shape[:2], xy_std_px=p.spatial_xy_std_px, weight=p.spatial_weight, normalization=how
            ),
        ]
        return DenseCRF(-self.logits, kernels, method=method).infer(SETTINGS.iterations)

    def layer(
        self,
        device: str,
        dtype: torch.dtype = torch.float32,
        *,
        method: str,
        backward: bool = False,
        learn_stds: bool = False,
    ) -> Tensor:
        """Return the layer's marginals (L, H, W), after a backward pass too where wanted."""
        logits = self.batch.to(device, dtype, copy=True).requires_grad_(backward)
        layer = MeanField(logits.shape[1], SETTINGS, method=method, learn_stds=learn_stds).to(device)
        with torch.set_grad_enabled(backward):
            found = layer(logits, self.photos.to(device))
        if backward:
            torch.nn.functional.nll_loss(found, logits.argmax(1)).backward()  # type: ignore[no-untyped-call]
        if device == "cuda":
            torch.cuda.synchronize()
        marginals: Tensor = found.detach().exp()[0]
        return marginals

    def std_gradients(self, method: str) -> Tensor:
        """Return the gradient with respect to log σα and log σβ of one filter pulling every pixel to its label."""
        p = SETTINGS.params
        logs = torch.tensor([p.bilateral_xy_std_px, p.bilateral_rgb_std]).double().log().requires_grad_()
        features = bilateral_features(self.photos, *logs.exp())
        belief = self.batch.double().flatten(2).softmax(1)
        ones = torch.ones_like(belief[:, :1])
        heard = gaussian_filter(belief, features, method=method) / gaussian_filter(ones, features, method=method)
        torch.nn.functional.cross_entropy(heard, belief.argmax(1)).backward()  # type: ignore[no-untyped-call]
        assert logs.grad is not None
        return logs.grad


def seconds(run: Callable[[], object], runs: int) -> float:
    """Return the median time of a run, after one that warms up. `run` waits for its device."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def show(scene: Scene, method: str, devices: list[str], runs: int) -> None:
    """Print the time of every way to run one method on a scene, and how far its marginals are from DenseCRF's."""
    reference = scene.dense_crf(method)
    base = seconds(partial(scene.dense_crf, method), runs)
    height, width = scene.image.shape[:2]
    print(f"\n{method}, {width}x{height}, {len(reference)} labels, {SETTINGS.iterations} iterations")
    print(f"{'':44}{'median':>9}{'of DenseCRF':>13}{'99.99 %':>10}{'largest':>10}{'MAP':>9}")
    print(f"{'DenseCRF, CPU':44}{base:8.3f}s{1:12.2f}x")
    for device in devices:
        for name, options in WAYS.items():
            run = partial(scene.layer, device, method=method, **options)
            found = run().cpu().numpy()
            off = np.abs(found - reference)
            same = float((found.argmax(0) == reference.argmax(0)).mean())
            median = seconds(run, runs)
            print(
                f"{f'layer, {device}, {name}':44}{median:8.3f}s{median / base:12.2f}x{np.quantile(off, 0.9999):10.1e}"
                f"{off.max():10.1e}{same:9.3%}"
            )


def show_tiles(scene: Scene) -> None:
    """Print the share of tile pairs that Triton's kernel does not skip: what its time is in proportion to."""
    try:
        from deeplab.crf.torch.triton_sum import active_tile_pairs
    except ModuleNotFoundError:
        print("\nTriton is not installed: no share of tile pairs")
        return
    p = SETTINGS.params
    bilateral = active_tile_pairs(bilateral_features(scene.photos, p.bilateral_xy_std_px, p.bilateral_rgb_std))
    spatial = active_tile_pairs(spatial_features(scene.image.shape[0], scene.image.shape[1], p.spatial_xy_std_px))
    print(f"\nexact sum in Triton: tile pairs not skipped: bilateral {bilateral:.1%}, spatial {spatial:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(500, 375))
    parser.add_argument("--small", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(40, 30))
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()

    photo, segmenter = Image.open(arguments.photo).convert("RGB"), Segmenter.from_pretrained()
    scene, small = (Scene(photo, segmenter, tuple(size)) for size in (arguments.size, arguments.small))
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {gpu}; "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    print(f"{SETTINGS}; median of {arguments.runs} runs")
    show(scene, "lattice", DEVICES, arguments.runs)
    show(small, "exact", DEVICES, arguments.runs)
    if "cuda" in DEVICES:
        whole = partial(scene.layer, "cuda", method="exact")
        print(f"{'layer, cuda, float32, the whole photo':44}{seconds(whole, arguments.runs):8.3f}s")
    show_tiles(scene)
    lattice, exact = (small.std_gradients(method) for method in ("lattice", "exact"))
    print("\ngradients of one normalised filter on the small copy, by the lattice and exactly")
    for name, one, other in zip(("log σα", "log σβ"), lattice, exact, strict=True):
        print(f"{name:44}{one:+9.5f}{other:+13.5f}{one / other - 1:+10.1%}")


if __name__ == "__main__":
    main()
