"""How far each shortcut of `deeplab.crf.refine` moves its result, and how near it is to the exact mean field.

    python benchmarks/crf_accuracy.py PHOTO ... [--crop 40]

The scores are the shipped model's. Full photos: every shortcut against the run without it. Small crops, reduced so that
the CRF sees several objects: parity, default and pydensecrf (where installed) against the sum over all pairs of points
with the same normalisation.
"""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab.crf import PARITY, CRFParams, DenseCRF, Shortcuts, bilateral_kernel, refine, spatial_kernel
from deeplab.segment import Segmenter

Array = npt.NDArray[np.float32]

BARE = Shortcuts(exact_spatial=True, prune_below=0.0, tile_side_px=0)
OPTIONS = {
    "prune_below=0.01": (Shortcuts(prune_below=0.01, tile_side_px=0), BARE),
    "prune_below=0.1": (Shortcuts(prune_below=0.1, tile_side_px=0), BARE),
    "exact_spatial": (BARE, PARITY),
    "tile_side_px=384": (Shortcuts(prune_below=0.0, tile_side_px=384), BARE),
    "default": (Shortcuts(), BARE),
}


def deviation(found: Array, expected: Array) -> tuple[float, float, float, float]:
    """MAP pixels that differ in percent; mean, 99.99 % quantile and maximum of the marginals' differences."""
    difference = np.abs(found - expected)
    other = 100 * float((found.argmax(0) != expected.argmax(0)).mean())
    return other, float(difference.mean()), float(np.quantile(difference, 0.9999)), float(difference.max())


def table(rows: dict[str, list[tuple[float, float, float, float]]]) -> None:
    print(f"{'':28}{'MAP %, mean':>12}{'MAP %, worst':>14}{'mean':>10}{'99.99 %':>10}{'largest':>10}")
    for name, values in rows.items():
        array = np.array(values)
        print(
            f"{name:28}{array[:, 0].mean():12.4f}{array[:, 0].max():14.4f}{array[:, 1].mean():10.1e}"
            f"{array[:, 2].max():10.1e}{array[:, 3].max():10.1e}"
        )


def theirs(image: npt.NDArray[np.uint8], probabilities: Array, params: CRFParams) -> Array:
    from pydensecrf import densecrf

    labels, height, width = probabilities.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).reshape(labels, -1))
    crf.addPairwiseBilateral(
        sxy=params.bilateral_xy_std_px, srgb=params.bilateral_rgb_std, rgbim=image, compat=params.bilateral_weight
    )
    crf.addPairwiseGaussian(sxy=params.spatial_xy_std_px, compat=params.spatial_weight)
    return np.asarray(crf.inference(10)).reshape(probabilities.shape)


def small_copy(photo: npt.NDArray[np.uint8], probabilities: Array, side: int) -> tuple[npt.NDArray[np.uint8], Array]:
    """Return both with a longer side of `side` pixels."""
    factor = side / max(photo.shape[:2])
    size = round(photo.shape[1] * factor), round(photo.shape[0] * factor)
    planes = np.stack([np.asarray(Image.fromarray(plane).resize(size, 2)) for plane in probabilities])
    return np.array(Image.fromarray(photo).resize(size)), np.maximum(planes, 0) / np.maximum(planes, 0).sum(0)


def exactly(image: npt.NDArray[np.uint8], probabilities: Array, params: CRFParams, normalization: str) -> Array:
    kernels = [
        bilateral_kernel(
            image,
            xy_std_px=params.bilateral_xy_std_px,
            rgb_std=params.bilateral_rgb_std,
            weight=params.bilateral_weight,
            normalization=normalization,
        ),
        spatial_kernel(
            *image.shape[:2],
            xy_std_px=params.spatial_xy_std_px,
            weight=params.spatial_weight,
            normalization=normalization,
        ),
    ]
    return DenseCRF.from_probabilities(probabilities, kernels, method="exact").infer(10)


def against_exact(
    image: npt.NDArray[np.uint8], probabilities: Array
) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Yield the deviation of every way from the sum over all pairs, for two sets of parameters."""
    for params, normalization in product((CRFParams(), CRFParams(4, 20, 10, 3, 3)), ("after", "symmetric")):
        exact = exactly(image, probabilities, params, normalization)
        for name, shortcuts in (("default", Shortcuts()), ("lattices", PARITY)):
            found = refine(image, probabilities, params, normalization=normalization, shortcuts=shortcuts)
            yield f"{name}, {normalization}", deviation(found, exact)
        if normalization == "symmetric" and find_spec("pydensecrf"):
            yield f"pydensecrf2, {normalization}", deviation(theirs(image, probabilities, params), exact)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--crop", type=int, default=40, help="longer side of the small copies, in pixels")
    arguments = parser.parse_args()
    segmenter = Segmenter.from_pretrained()
    full: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in OPTIONS}
    small: dict[str, list[tuple[float, float, float, float]]] = {}
    for path in arguments.photos:
        result = segmenter.segment(path, crf=False)
        for name, (option, without) in OPTIONS.items():
            found, expected = (refine(result.image, result.probabilities, shortcuts=s) for s in (option, without))
            full[name].append(deviation(found, expected))
        for name, found in against_exact(*small_copy(result.image, result.probabilities, arguments.crop)):
            small.setdefault(name, []).append(found)
    print(f"{len(arguments.photos)} photos, {CRFParams()}\n\nShortcut against the run without it")
    table(full)
    print(f"\nAgainst the exact mean field, longer side {arguments.crop} px, two sets of parameters")
    table(small)


if __name__ == "__main__":
    main()
