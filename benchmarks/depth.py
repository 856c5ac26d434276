"""What depth adds to the CRF on street scenes with disparity: accuracy near outlines, and where colour fails.

    python benchmarks/depth.py DIR [--cells 16] [--threads 2]

DIR holds frames of Cityscapes, NAME_image.jpg, NAME_disparity16.png (0 is unknown, else 256 times the disparity and 1)
and NAME_labelIds.png. A coarse network is made of the labels: averaged over cells of --cells pixels, blurred, made
noisy, and interpolated back. It is refined without depth and with it, by the parameters that did best on the other half
of the frames: two each of w1, σα, σβ and, with depth, σz; w2 = 1 and σγ = 1. Accuracy is over pixels within 4 and 8 px
of an outline; and over those of them where the mean colours of both sides, within 7 px, differ by less than 20 levels
in every channel.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from deeplab.crf import CRFParams, Depth, refine
from deeplab.images import read_image
from deeplab.refinement import load_scores
from deeplab.refinement.probabilities import resize_plane

Mask: TypeAlias = npt.NDArray[np.bool_]

VOID, FIRST_LABEL = 255, 7
WITHIN_PX, ALIKE_LEVELS = 7, 20
WEIGHTS, XY_STDS_PX, RGB_STDS = (1, 3), (10, 30), (3, 8)
Z_STDS_PX = (None, 1, 3)  # disparity at the frames' own width of 2048; None: without depth
MEASURES = ("all", "within 4 px", "within 8 px", "within 8 px, colours alike")


class Frame(NamedTuple):
    """A photo (H, W, 3), labels (H, W) 0 … L-1 or void, disparity in pixels with NaN, and coarse probabilities."""

    photo: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    disparity: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    regions: tuple[Mask, ...]


def read_frame(photo: Path, cell_px: int, seed: int) -> Frame:
    image = read_image(photo)
    stem = photo.name.removesuffix("image.jpg")
    ids = np.asarray(Image.open(photo.with_name(f"{stem}labelIds.png")))
    stored = load_scores(photo.with_name(f"{stem}disparity16.png")).astype(np.float32)
    found = [value for value in np.unique(ids) if value >= FIRST_LABEL]
    labels = np.full(ids.shape, VOID, np.uint8)
    for label, value in enumerate(found):
        labels[ids == value] = label
    disparity = np.where(stored == 0, np.nan, (stored - 1) / 256).astype(np.float32)
    return Frame(image, labels, disparity, coarse(labels, len(found), cell_px, seed), regions(image, labels))


def coarse(labels: npt.NDArray[np.uint8], count: int, cell_px: int, seed: int) -> npt.NDArray[np.float32]:
    """Probabilities (L, H, W) of a network that sees cells of so many pixels, and is unsure."""
    height, width = labels.shape
    planes = [np.where(labels == VOID, 1 / count, labels == label).astype(np.float32) for label in range(count)]
    small = np.stack([resize_plane(plane, (height // cell_px, width // cell_px), "centres") for plane in planes])
    small = ndimage.gaussian_filter(small, (0, 0.7, 0.7))
    logits = np.log(small + 0.02) + np.random.default_rng(seed).normal(0, 0.5, small.shape)
    full = np.stack([resize_plane(plane.astype(np.float32), (height, width), "centres") for plane in logits])
    exponentials = np.exp(full - full.max(0))
    return np.asarray(exponentials / exponentials.sum(0), np.float32)


def regions(image: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> tuple[Mask, ...]:
    """Where to measure: everywhere, near outlines, and near outlines that colour does not show."""
    known = labels != VOID
    outline = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
    outline &= ndimage.minimum_filter(known, 3)  # void on one side is no outline
    distance = ndimage.distance_transform_edt(~outline)
    own, other = (np.full(image.shape, np.nan) for _ in range(2))
    for label in np.unique(labels[known]):
        here = labels == label
        share = ndimage.uniform_filter(here.astype(float), 2 * WITHIN_PX + 1)
        away = ndimage.uniform_filter((known & ~here).astype(float), 2 * WITHIN_PX + 1)
        for channel in range(3):
            levels = image[..., channel].astype(float)
            mean = ndimage.uniform_filter(levels * here, 2 * WITHIN_PX + 1) / np.maximum(share, 1e-9)
            beyond = ndimage.uniform_filter(levels * (known & ~here), 2 * WITHIN_PX + 1) / np.maximum(away, 1e-9)
            own[here, channel], other[here, channel] = mean[here], np.where(away > 1e-3, beyond, np.nan)[here]
    alike = (np.abs(own - other) < ALIKE_LEVELS).all(-1)
    near = known & (distance <= 8)
    return known, known & (distance <= 4), near, near & alike


def accuracies(frame: Frame, refined: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    right = refined.argmax(0) == frame.labels
    return np.array([[np.count_nonzero(right & region), np.count_nonzero(region)] for region in frame.regions], float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=16, metavar="PX")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    photos = sorted(arguments.folder.glob("*_image.jpg"))
    frames = [read_frame(photo, arguments.cells, seed) for seed, photo in enumerate(photos)]
    unknown = np.mean([np.isnan(frame.disparity).mean() for frame in frames])
    print(f"{len(frames)} frames; disparity unknown at {100 * unknown:.1f} % of the pixels")
    alone = np.array([accuracies(frame, frame.probabilities) for frame in frames])
    counts: dict[Any, npt.NDArray[np.float64]] = {}
    for settings in product(WEIGHTS, XY_STDS_PX, RGB_STDS, Z_STDS_PX):
        params, z_std = CRFParams(*settings[:3], spatial_weight=1, spatial_xy_std_px=1), settings[3]
        found = []
        for frame in frames:
            depth = None if z_std is None else Depth(frame.disparity, z_std)
            refined = refine(frame.photo, frame.probabilities, params, depth=depth, threads=arguments.threads)
            found.append(accuracies(frame, refined))
        counts[settings] = np.array(found)
        print(f"w1, σα, σβ, σz {settings}: {row(counts[settings])}", flush=True)
    halves = [np.arange(len(frames)) % 2 == half for half in (0, 1)]
    print(f"\n{'':24} {', '.join(MEASURES)}\n{'coarse network':24} {row(alone)}")
    for name, deep in (("CRF", False), ("CRF with depth", True)):
        tried = [key for key in counts if (key[-1] is not None) == deep]
        tested = []
        for half in halves:
            best = max(tried, key=lambda key: share(counts[key][~half])[2])
            tested.append(counts[best][half])
            print(f"{name}: w1, σα, σβ, σz {best} by the frames of the other half")
        print(f"{name:24} {row(np.concatenate(tested))}")


def share(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    right, of = counts.sum(0).T
    return np.asarray(right / of)


def row(counts: npt.NDArray[np.float64]) -> str:
    return ", ".join(f"{100 * part:.2f} %" for part in share(counts))


if __name__ == "__main__":
    main()
