"""How far each option of `deeplab.crf` moves its result, and how near it is to pydensecrf and to the exact mean field.

    python benchmarks/crf_accuracy.py PHOTO ... [--crop 48] [--megapixels 5] [--large 4]

The probabilities are the shipped model's. Four tables: each shortcut against the run without it; tiles on photos
enlarged to `--megapixels`; parity mode against pydensecrf2; and crops around objects' outlines against the sum over all
pairs of points with the same normalisation. Without pydensecrf2 its rows are left out.

An enlarged photo gets tiles as large against it as the default's are against photos of 12 and 24 megapixels.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab.crf import PARITY, CRFParams, Shortcuts, bilateral_kernel, refine, spatial_kernel
from deeplab.crf.unary import softmax_in_place
from deeplab.segment import Segmenter

Array: TypeAlias = npt.NDArray[np.float32]
Inputs: TypeAlias = tuple[npt.NDArray[np.uint8], Array]
Rows: TypeAlias = dict[str, list[tuple[float, ...]]]

WHOLE = Shortcuts(tile_side_px=0)
BARE = Shortcuts(narrow_bilateral=False, prune_below=0.0, tile_side_px=0)
PRUNED = replace(BARE, prune_below=0.1)
# name: the option, what it is compared with, and both normalisations
OPTIONS = {
    "prune_below=0.1": (PRUNED, BARE, "after", "after"),
    "prune_below=0.1, symmetric": (PRUNED, BARE, "symmetric", "symmetric"),
    "prune_below=0.01": (replace(BARE, prune_below=0.01), BARE, "after", "after"),
    "exact_spatial": (BARE, PARITY, "after", "after"),
    "default against PARITY": (Shortcuts(), PARITY, "after", "after"),
    "symmetric, not after": (WHOLE, WHOLE, "symmetric", "after"),
    "before, not after": (WHOLE, WHOLE, "before", "after"),
}
# The defaults; the shipped model's; pydensecrf's example; and one with a short reach and few colours alike.
PARAMS = (CRFParams(), CRFParams(5, 50, 5), CRFParams(10, 80, 13), CRFParams(4, 20, 10))
HEADINGS = ("MAP %", "worst", "mean", "99 %", "99.99 %", "largest")


def deviation(found: Array, expected: Array) -> tuple[float, ...]:
    """MAP pixels that differ in percent; mean, two quantiles and maximum of the marginals' differences."""
    difference = np.abs(found - expected)
    other = 100 * float((found.argmax(0) != expected.argmax(0)).mean())
    return other, float(difference.mean()), *np.quantile(difference, (0.99, 0.9999, 1)).tolist()


def table(title: str, rows: Rows) -> None:
    """Print means over the pictures of the first columns, and the worst picture of the last two."""
    print(f"\n{title}\n{'':36}{'n':>4}" + "".join(f"{heading:>10}" for heading in HEADINGS))
    for name, values in rows.items():
        each = np.array(values)
        mean, worst = each.mean(axis=0), each.max(axis=0)
        shares = f"{mean[0]:10.4f}{worst[0]:10.4f}"
        print(
            f"{name:36}{len(each):4}{shares}{mean[1]:10.1e}{mean[2]:10.1e}{worst[3]:10.1e}{worst[4]:10.1e}", flush=True
        )


def theirs(inputs: Inputs, params: CRFParams) -> Array:
    from pydensecrf import densecrf

    image, probabilities = inputs
    labels, height, width = probabilities.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).reshape(labels, -1))
    crf.addPairwiseBilateral(
        sxy=params.bilateral_xy_std_px, srgb=params.bilateral_rgb_std, rgbim=image, compat=params.bilateral_weight
    )
    crf.addPairwiseGaussian(sxy=params.spatial_xy_std_px, compat=params.spatial_weight)
    return np.asarray(crf.inference(10)).reshape(probabilities.shape)


def exactly(inputs: Inputs, params: CRFParams, normalization: str) -> Array:
    """The mean field by its definition, with a matrix of all pairs of points for each kernel."""
    image, probabilities = inputs
    spatial = spatial_kernel(*image.shape[:2], xy_std_px=params.spatial_xy_std_px, weight=params.spatial_weight)
    bilateral = bilateral_kernel(
        image,
        xy_std_px=params.bilateral_xy_std_px,
        rgb_std=params.bilateral_rgb_std,
        weight=params.bilateral_weight,
    )
    pull = np.zeros((spatial.points, spatial.points), np.float32)
    for kernel in (bilateral, spatial):
        columns = kernel.features.T.astype(np.float64)
        values = np.exp(-sum(np.subtract.outer(column, column) ** 2 for column in columns) / 2)
        k = values.sum(axis=1)
        values /= k[:, None] if normalization == "after" else np.sqrt(np.outer(k, k))
        pull += kernel.weight * values
    flat = probabilities.reshape(len(probabilities), -1)
    unary, belief = np.log(np.maximum(flat, np.finfo(np.float32).tiny)), flat
    for _ in range(10):
        belief = softmax_in_place(unary + belief @ pull.T)
    return belief.reshape(probabilities.shape)


def enlarged(inputs: Inputs, factor: float) -> Inputs:
    image, probabilities = inputs
    height, width, _ = image.shape
    size = round(width * factor), round(height * factor)
    planes = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) for plane in probabilities]
    resized = np.maximum(np.stack(planes), 0)
    return np.array(Image.fromarray(image).resize(size)), resized / resized.sum(0)


def crop_at_outline(inputs: Inputs, side: int, random: np.random.Generator) -> Iterator[Inputs]:
    """Yield one crop of `side` pixels around a random point where two labels meet, or none where none do."""
    image, probabilities = inputs
    labels = probabilities.argmax(0)
    places = np.argwhere((labels[1:, 1:] != labels[:-1, 1:]) | (labels[1:, 1:] != labels[1:, :-1]))
    if len(places):
        centre = places[random.integers(len(places))]
        top, left = (
            min(max(0, at - side // 2), length - side) for at, length in zip(centre, labels.shape, strict=True)
        )
        window = slice(top, top + side), slice(left, left + side)
        yield np.ascontiguousarray(image[window]), np.ascontiguousarray(probabilities[(slice(None), *window)])


def shortcuts(pictures: list[Inputs]) -> Rows:
    rows: Rows = defaultdict(list)
    for picture, (name, (option, without, one, other)) in product(pictures, OPTIONS.items()):
        found = refine(*picture, shortcuts=option, normalization=one)
        rows[name].append(deviation(found, refine(*picture, shortcuts=without, normalization=other)))
    return rows


def tiles(pictures: list[Inputs], megapixels: float) -> Rows:
    """The distances stay, as for a photo that the network saw at its own size, or grow with the photo."""
    rows: Rows = defaultdict(list)
    sides = {size: round(Shortcuts().tile_side_px * (megapixels / size) ** 0.5) for size in (12, 24)}
    for picture in pictures:
        factor = (megapixels * 1e6 / picture[0][..., 0].size) ** 0.5
        large = enlarged(picture, factor)
        for name, params in (("stay", CRFParams()), ("grow", CRFParams().scaled(factor))):
            whole = refine(*large, params, shortcuts=WHOLE)
            for size, side in sides.items():
                found = refine(*large, params, shortcuts=Shortcuts(tile_side_px=side))
                rows[f"as for {size} MP, distances {name}"].append(deviation(found, whole))
    return rows


def parity(pictures: list[Inputs]) -> Rows:
    rows: Rows = {name_of(params): [] for params in PARAMS} | {"all": []}
    for picture, params in product(pictures, PARAMS):
        found = deviation(
            refine(*picture, params, normalization="symmetric", shortcuts=PARITY), theirs(picture, params)
        )
        rows[name_of(params)].append(found)
        rows["all"].append(found)
    return rows


def against_exact(crops: list[Inputs]) -> Rows:
    rows: Rows = defaultdict(list)
    for normalization, params, crop in product(("symmetric", "after"), PARAMS, crops):
        exact = exactly(crop, params, normalization)
        ways = {"default": Shortcuts(), "not narrowed": Shortcuts(narrow_bilateral=False), "lattices": PARITY}
        for way, option in ways.items():
            found = deviation(refine(*crop, params, normalization=normalization, shortcuts=option), exact)
            rows[f"{way}, {normalization}"].append(found)
        if normalization == "symmetric" and find_spec("pydensecrf"):
            rows["pydensecrf2, symmetric"].append(deviation(theirs(crop, params), exact))
    return rows


def name_of(params: CRFParams) -> str:
    return "/".join(f"{value:g}" for value in params.to_dict().values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--crop", type=int, default=48, help="side of the crops, in pixels")
    parser.add_argument("--megapixels", type=float, default=5, help="size of the enlarged photos")
    parser.add_argument("--large", type=int, default=4, help="how many photos to enlarge")
    arguments = parser.parse_args()
    segmenter, random = Segmenter.from_pretrained(), np.random.default_rng(0)
    results = [segmenter.segment(path, crf=False) for path in arguments.photos]
    pictures = [(result.image, result.probabilities) for result in results]
    crops = [crop for picture in pictures for crop in crop_at_outline(picture, arguments.crop, random)]
    print(f"{len(pictures)} photos, {CRFParams()}, 10 iterations")
    table("Option against the run without it", shortcuts(pictures))
    if find_spec("pydensecrf"):
        table("Parity mode against pydensecrf2 (w1/std/std/w2/std)", parity(pictures))
    table(f"Crops of {arguments.crop} px against the exact mean field, {len(PARAMS)} parameters", against_exact(crops))
    table(
        f"Tiles against the whole, {arguments.megapixels:g} MP",
        tiles(pictures[: arguments.large], arguments.megapixels),
    )


if __name__ == "__main__":
    main()
