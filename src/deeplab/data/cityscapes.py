"""Cityscapes (Cordts et al. 2016): ``leftImg8bit/`` and ``gtFine/``."""

from __future__ import annotations

from pathlib import Path

from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError
from deeplab.files import is_folder
from deeplab.labels import LabelSet

CITYSCAPES = LabelSet(
    name="cityscapes",
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
        (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
)  # fmt: skip
"""The 19 classes that Cityscapes evaluates, in the order of its train ids; 255 is void."""

# What ``labelIds`` masks store, 0 first.
_LABEL_IDS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip

_LABEL = {name: label for label, name in enumerate(CITYSCAPES.names)}
_TO_TRAIN_IDS = (
    bytes(_LABEL.get(name, CITYSCAPES.void) for name in _LABEL_IDS)
    + bytes(range(len(_LABEL_IDS), 255))
    + bytes([CITYSCAPES.void])  # the license plate's id, -1
)

# Kind of mask → what it stores for the classes, and how that becomes train ids. The first kind found is read.
_KINDS = {
    "labelTrainIds": (_LABEL, None),
    "labelIds": ({name: value for value, name in enumerate(_LABEL_IDS)}, _TO_TRAIN_IDS),
}


def read_cityscapes(root: Path, split: str) -> Listing:
    """Cityscapes: ``leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and ``gtFine/<split>/<city>/*_gtFine_*.png``.

    The masks are the ``labelTrainIds`` where a split has them, or else the ``labelIds``, which become train ids.
    """
    folder, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    if not is_folder(folder):
        raise DataError(f"there is no folder {folder}; splits found: {', '.join(cityscapes_splits(root)) or 'none'}")
    kind = next((kind for kind in _KINDS if any(masks.glob(f"*/*_gtFine_{kind}.png"))), "labelIds")
    values, relabel = _KINDS[kind]
    photos = {path.name.removesuffix("_leftImg8bit.png"): path for path in sorted(folder.glob("*/*_leftImg8bit.png"))}
    samples = [
        Sample(name, photo, masks / photo.parent.name / f"{name}_gtFine_{kind}.png", CITYSCAPES, relabel)
        for name, photo in photos.items()
    ]
    paired = {sample.mask for sample in samples}
    strays = (path for path in sorted(masks.glob(f"*/*_gtFine_{kind}.png")) if path not in paired)
    return Listing(folder, tuple(samples), tuple(strays), values)


def cityscapes_splits(root: Path) -> list[str]:
    """Return the splits of a folder in Cityscapes' layout."""
    folders = (root / "leftImg8bit").glob("*")
    return sorted(path.name for path in folders if is_folder(root / "gtFine" / path.name))
