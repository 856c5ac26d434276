"""ADE20K in the layout of its scene parsing challenge (Zhou et al. 2017): 150 classes, and 0 for all that is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deeplab.data.folders import folder_pairs, pair_folders
from deeplab.data.samples import Listing
from deeplab.errors import DataError
from deeplab.labels import LabelSet

ADE = LabelSet(
    "ade",
    (
        "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet",
        "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water",
        "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk",
        "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column", "signboard",
        "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand", "path",
        "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge", "bookcase",
        "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove", "palm",
        "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus", "towel", "light",
        "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television receiver", "airplane",
        "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
        "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool", "stool",
        "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank",
        "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture",
        "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor",
        "bulletin board", "shower", "radiator", "glass", "clock", "flag",
    ),
)  # fmt: skip
"""The challenge's 150 classes, the most frequent first; 255 is void."""

VALUES = {name: value for value, name in enumerate(ADE.names, start=1)}
TO_ADE = bytes([ADE.void, *range(len(ADE)), *range(len(ADE) + 1, 256)])
_SPLITS = {"training", "validation"}


def read_ade(root: Path, split: str) -> Listing:
    """ADE20K: ``images/training/``, ``annotations/training/``, and ``validation``; masks of 1–150, 0 becomes void."""
    pairs = folder_pairs(root)
    if split not in pairs:
        raise DataError(f"there is no folder {root / 'images' / split}; splits found: {', '.join(pairs) or 'none'}")
    listing = pair_folders(*pairs[split], ADE)
    return replace(listing, samples=tuple(replace(s, relabel=TO_ADE) for s in listing.samples), values=VALUES)


def ade_splits(root: Path) -> list[str]:
    """Return the splits of a folder in ADE20K's layout, which the names of its splits tell from others."""
    pairs = folder_pairs(root)
    is_ade = any(pair.labels.parent.name == "annotations" for name, pair in pairs.items() if name in _SPLITS)
    return list(pairs) if is_ade else []
