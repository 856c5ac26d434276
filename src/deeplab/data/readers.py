"""Readers: a folder on disk → its labelled photos. One function a layout, all with the same signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from deeplab.data.samples import Sample, load_mask, pair_files
from deeplab.errors import DataError, InputError
from deeplab.images import PHOTO_SUFFIXES
from deeplab.labels import CAMVID, VOC, LabelSet

__all__ = ["READERS", "read_samples"]


def read_voc(root: Path, split: str) -> tuple[Sample, ...]:
    """VOC development kit: ``ImageSets/Segmentation/<split>.txt``, ``JPEGImages/``, ``SegmentationClass/``.

    A line of the list is a photo's name, or, as in DeepLab's own lists, the paths of photo and mask below the root.
    """
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not listing.is_file():
        found = sorted(path.stem for path in listing.parent.glob("*.txt"))
        raise DataError(f"{listing} is missing; splits found there: {', '.join(found) or 'none'}")
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{listing} is no UTF-8 text; save it as UTF-8, one photo a line") from None
    pairs = [_voc_pair(root, listing, line) for line in lines if line.strip()]
    names = [photo.stem for photo, _ in pairs]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{listing} lists {twice[0]} more than once; list every photo once")
    files = dict(zip(names, pairs, strict=True))
    return pair_files(names, lambda name: files[name][0], lambda name: files[name][1], VOC)


def _voc_pair(root: Path, listing: Path, line: str) -> tuple[Path, Path]:
    match line.split():
        case [name] if "/" not in name:
            return root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        case [photo, mask] if "/" in photo and "/" in mask:
            return root / photo.lstrip("/"), root / mask.lstrip("/")
    raise DataError(
        f"{listing} has the line {line.strip()!r}; expected a photo's name, such as 2007_000032, or two paths, such as "
        "/JPEGImages/2007_000032.jpg /SegmentationClass/2007_000032.png"
    )


def read_camvid(root: Path, split: str) -> tuple[Sample, ...]:
    """CamVid in SegNet's layout: ``<split>/`` with photos, ``<split>annot/`` with masks; 11 classes, void 11."""
    if not (root / split).is_dir():
        found = sorted(path.name.removesuffix("annot") for path in root.glob("*annot"))
        raise DataError(f"there is no folder {root / split}; splits found: {', '.join(found) or 'none'}")
    photos = _photos(root / split)
    return pair_files(sorted(photos), photos.__getitem__, lambda name: root / f"{split}annot" / f"{name}.png", CAMVID)


def read_folder(root: Path, split: str) -> tuple[Sample, ...]:
    """``images/`` and ``masks/`` with equal names: in ``<split>/``, or, for split ``all``, in the root itself.

    ``classes.txt`` in the root names the classes, one a line, the first of them label 0; void is 255. Without it they
    are VOC's.
    """
    part = root / split
    if not (part / "images").is_dir():
        if split != "all":
            raise DataError(f"there is no folder {part / 'images'}; make it, or ask for split 'all'")
        part = root
    photos = _photos(part / "images")
    return pair_files(sorted(photos), photos.__getitem__, lambda name: part / "masks" / f"{name}.png", _label_set(root))


def read_msrc(root: Path, split: str) -> tuple[Sample, ...]:
    """MSRC-21: ``images/``, ``labels/``; its classes become VOC's, and photos without any of them are left out.

    The split must be ``all``. Faces and bodies become person; classes that VOC does not know become background.
    """
    if split != "all":
        raise DataError(f"{root} has no splits: ask for split 'all', not {split!r}")
    photos = _photos(root / "images")
    samples = pair_files(
        sorted(photos), photos.__getitem__, lambda name: root / "labels" / f"{name}.png", VOC, MSRC_TO_VOC
    )
    return tuple(sample for sample in samples if _shows_object(sample))


READERS: Mapping[str, Callable[[Path, str], tuple[Sample, ...]]] = MappingProxyType(
    {"voc": read_voc, "camvid": read_camvid, "folder": read_folder, "msrc": read_msrc}
)


def read_samples(reader: str, root: Path, split: str) -> tuple[Sample, ...]:
    """Read the labelled photos of one split.

    Args:
        reader: a layout's name in `READERS`.
        root: the data set's own folder.
        split: which part, e.g. ``train_aug``, ``val``.

    Raises:
        DataError: the reader is unknown, or a folder, list or file is missing.
    """
    if reader not in READERS:
        raise DataError(f"unknown data layout {reader!r}; choose one of {', '.join(READERS)}")
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; give the data set's folder")
    return READERS[reader](root, split)


# MSRC-21's order of classes, by the VOC class each becomes.
_MSRC_AS_VOC = (
    "background", "background", "background", "cow", "horse", "sheep", "background", "background", "aeroplane",
    "background", "person", "car", "bicycle", "background", "background", "bird", "background", "chair", "background",
    "cat", "dog", "person", "boat",
)  # fmt: skip
MSRC_TO_VOC = bytes(VOC.names.index(name) for name in _MSRC_AS_VOC) + bytes(range(len(_MSRC_AS_VOC), 256))


def _shows_object(sample: Sample) -> bool:
    labels = load_mask(sample)
    return bool(((labels != 0) & (labels != sample.label_set.void)).any())


def _label_set(root: Path) -> LabelSet:
    listing = root / "classes.txt"
    if not listing.is_file():
        return VOC
    try:
        return LabelSet("own", tuple(listing.read_text(encoding="utf-8").splitlines()))
    except (InputError, UnicodeDecodeError) as error:
        raise DataError(f"{listing}: {error}; give one class name a line") from None


def _photos(folder: Path) -> dict[str, Path]:
    """The photos in a folder by their names without the ending."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; check the layout")
    photos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            if path.stem in photos:
                raise DataError(f"{path} and {photos[path.stem].name} share one name; rename one, and its mask")
            photos[path.stem] = path
    return photos
