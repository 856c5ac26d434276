"""Look at one photo and its mask for all that spoils training; `deeplab.data.check` does so for a whole set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from deeplab.data.samples import Sample, unknown_values
from deeplab.errors import ImageError
from deeplab.files import is_file, sha256_of
from deeplab.images import read_photo
from deeplab.label_maps import read_label_map
from deeplab.labels import voc_colour_map
from deeplab.preprocessing import MAX_SIDE_PX


class Kind(NamedTuple):
    """One kind of finding.

    Attributes:
        title: what is wrong, as a heading.
        advice: how to mend it.
        problem: training fails or learns something wrong; else it is worth a look.
    """

    title: str
    advice: str
    problem: bool = True


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "missing": Kind("missing pairs", "every photo needs its mask, and every mask its photo"),
        "unreadable": Kind("unreadable files", "copy or export them again, or take them out"),
        "colours": Kind("colour-coded masks", "save the number of each pixel's class (mode P or L), not its colour"),
        "depth": Kind("masks not of 8 bits", "save one 8-bit label per pixel (mode P or L)"),
        "beyond": Kind("labels beyond the classes", "name every class, and the fate of other values, in classes.txt"),
        "void": Kind("void under another number", "say in classes.txt which value is void, e.g. 'void: 254'"),
        "exif": Kind("masks of EXIF-rotated photos", "drawn on the unturned pixels: turn them like the photos"),
        "size": Kind("size mismatches", "export the mask at the photo's size"),
        "objects": Kind("objects that cannot be drawn", "give them outlines, or take them out; the rest is used"),
        "unlabelled": Kind("masks that are all void", "nothing can be learnt from them: take them out"),
        "single": Kind("nothing but one class and void", "if void is a class, say so in classes.txt, e.g. 'leaf: 255'"),
        "repeated": Kind("photos listed more than once", "list every photo once"),
        "leak": Kind("photos both in training and held out", "take them out of one, or the scores come out too good"),
        "divided": Kind("data without splits", "to choose them yourself, see docs/data.md", problem=False),
        "unannotated": Kind("photos without annotations", "left out until they are labelled", problem=False),
        "crowds": Kind("crowds", "choose with --crowds, in recipes crowds: class, void or skip", problem=False),
        "empty": Kind("masks that are all background", "fine if their photos show nothing", problem=False),
        "assumed": Kind("photos of which something is assumed", "docs/photos.md says how to settle it",
                        problem=False),
        "left": Kind("files beside the photos that are not taken", "convert them if they are photos", problem=False),
        "turned": Kind("photos that EXIF turns", "make sure that their masks are upright", problem=False),
        "large": Kind(
            f"photos of more than {MAX_SIDE_PX} px a side",
            "a network sees them, in training and in use, at that size; for small things say max_side_px in the recipe",
            problem=False,
        ),
        "duplicate": Kind("photos with the same bytes", "keep one of them", problem=False),
        "absent": Kind("classes that never occur", "they can be neither learnt nor scored", problem=False),
    }
)  # fmt: skip
"""All kinds of findings by name, in the order of reports."""


class Fact(NamedTuple):
    """What was found in one file: its kind in `KINDS`, and details, such as the values."""

    kind: str
    file: Path
    detail: str


class Inspection(NamedTuple):
    """One photo and its mask, looked at.

    Attributes:
        facts: what was found, nothing in a good pair.
        sha256: of the photo's bytes, or None where it cannot be read.
        size: the upright photo's (H, W), or None where it cannot be read.
        pixels: label → its number of pixels, void among them; values without meaning are left out.
    """

    facts: tuple[Fact, ...]
    sha256: str | None
    size: tuple[int, int] | None
    pixels: dict[int, int]


def inspect_sample(sample: Sample) -> Inspection:
    """Read a photo and its mask, whatever their state; what is wrong becomes a fact, not an error."""
    photo_facts, sha256, size, turn = _inspect_photo(sample.photo)
    mask_facts, stored = _inspect_mask(sample)
    if size is not None and max(size) > MAX_SIDE_PX:
        times = max(size) / MAX_SIDE_PX
        photo_facts.append(Fact("large", sample.photo, f"{size[1]}x{size[0]} px: seen {times:.1f} times smaller"))
    facts, pixels = photo_facts + mask_facts, Counter[int]()
    if stored is not None:
        values = np.bincount(stored.ravel(), minlength=256)
        facts += _strange_values(sample, values)
        labels = np.arange(256) if sample.relabel is None else np.frombuffer(sample.relabel, dtype=np.uint8)
        for value in np.flatnonzero((values > 0) & ~unknown_values(sample)):
            pixels[int(labels[value])] += int(values[value])
        facts += _emptiness(sample, pixels, stored.size)
        if size is not None:
            facts += _fit(sample, size, stored.shape, turn)
    return Inspection(tuple(facts), sha256, size, dict(pixels))


def _inspect_photo(path: Path) -> tuple[list[Fact], str | None, tuple[int, int] | None, int]:
    """Facts, hash, upright (H, W) and EXIF orientation of a photo."""
    if not is_file(path):
        return [Fact("missing", path, "no such photo")], None, None, 1
    sha256 = None
    try:
        sha256 = sha256_of(path, ImageError)
        reading = read_photo(path)
        turn = 1
        with suppress(UnidentifiedImageError), Image.open(path) as image:  # Pillow reads not all that read_photo does
            turn = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (ImageError, OSError) as error:
        return [Fact("unreadable", path, _without(path, error))], sha256, None, 1
    facts = [Fact("assumed", path, note) for note in reading.notes]
    height, width = reading.pixels.shape[:2]
    return facts, sha256, (height, width), turn


def _inspect_mask(sample: Sample) -> tuple[list[Fact], NDArray[np.uint8] | None]:
    path = sample.mask
    if not is_file(path):
        jpeg = next((other for other in (path.with_suffix(".jpg"), path.with_suffix(".jpeg")) if is_file(other)), None)
        hint = f"; {jpeg.name} is there, but JPEG changes the values of pixels" if jpeg else ""
        return [Fact("missing", path, f"no such mask{hint}")], None
    try:
        return [], sample.read(path)
    except ImageError as error:
        kind, detail = "unreadable", _without(path, error)
        if sample.read is read_label_map:
            kind, detail = _wrong_mode(path) or (kind, detail)
        return [Fact(kind, path, detail)], None


def _wrong_mode(path: Path) -> tuple[str, str] | None:
    """The kind and details of a mask that is a sound image, but no 8-bit label map; None for other files."""
    try:
        with Image.open(path) as image:
            if image.mode == "1" or image.mode.startswith(("I", "F")):
                return "depth", f"mode {image.mode}"
            if image.mode in ("P", "L"):
                return None
            found = image.convert("RGB").getcolors(maxcolors=256) or []
            mode, alpha = image.mode, ", with alpha" if "A" in image.getbands() else ""
    except Exception:  # decoders raise errors of any kind on damaged bytes
        return None
    colours = sorted(colour for _, colour in found if isinstance(colour, tuple))
    if colours and all(len(set(colour)) == 1 for colour in colours):
        return "colours", f"mode {mode}{alpha}: grey values {_first([c[0] for c in colours])}; keep one channel"
    said = f"colours {_first(colours)}" if colours else "more than 256 colours"
    return "colours", f"mode {mode}{alpha}: {said}"


def _strange_values(sample: Sample, values: NDArray[np.int64]) -> list[Fact]:
    strange = np.flatnonzero((values > 0) & unknown_values(sample)).tolist()
    label_set = sample.label_set
    facts = []
    if void_like := [value for value in strange if value >= 254]:
        said = " and ".join(f"{value} ({values[value]:,} px)" for value in void_like)
        facts.append(Fact("void", sample.mask, f"holds {said}; void is {label_set.void} here"))
    if beyond := [value for value in strange if value < 254]:
        said = _first([f"{value} ({values[value]:,} px)" for value in beyond])
        hint = "; they look like VOC's colours turned grey" if set(beyond) <= _VOC_AS_GREY else ""
        facts.append(Fact("beyond", sample.mask, f"holds {said}; labels are 0–{len(label_set) - 1}{hint}"))
    return facts


_VOC_AS_GREY = {(299 * red + 587 * green + 114 * blue) // 1000 for red, green, blue in voc_colour_map()[:21]}


def _emptiness(sample: Sample, pixels: Counter[int], count: int) -> list[Fact]:
    if pixels[sample.label_set.void] == count:
        return [Fact("unlabelled", sample.mask, f"all {count:,} px are void")]
    background = sample.label_set.background
    if background is not None and pixels[background] + pixels[sample.label_set.void] == count:
        return [Fact("empty", sample.mask, f"{pixels[background]:,} px of background")]
    return []


def _fit(sample: Sample, photo: tuple[int, ...], mask: tuple[int, ...], turn: int) -> list[Fact]:
    """Compare the sizes (H, W) of the upright photo and of the mask."""
    sizes = f"the mask is {mask[1]}x{mask[0]} px, the photo {photo[1]}x{photo[0]}"
    if photo == mask:
        return [Fact("turned", sample.photo, f"orientation {turn}")] if turn in range(2, 9) else []
    if turn in range(5, 9) and mask == photo[::-1]:
        return [Fact("exif", sample.mask, f"{sizes} once turned (orientation {turn})")]
    return [Fact("size", sample.mask, sizes)]


def _first(items: Sequence[object], count: int = 4) -> str:
    return ", ".join(map(str, items[:count])) + (", …" if len(items) > count else "")


def _without(path: Path, error: Exception) -> str:
    """An error's message, without the path that it begins with."""
    return str(error).removeprefix(str(path)).lstrip(": ")
