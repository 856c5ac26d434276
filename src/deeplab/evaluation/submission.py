"""The archive that the VOC test server takes: one palette PNG a photo, under the names it looks for."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from deeplab.data.folders import photo_called
from deeplab.data.lists import read_text
from deeplab.errors import DataError, OutputError
from deeplab.files import atomic_file, check_output, is_file
from deeplab.images import read_image
from deeplab.label_maps import encode_label_map
from deeplab.labels import VOC
from deeplab.progress import Show, silent

COMPETITIONS = ("comp5", "comp6")
"""comp5: trained on VOC's own data alone; comp6: on any other data too, such as ImageNet's photos or SBD's masks."""

_SUFFIXES = (".tgz", ".tar.gz", ".tar", ".zip")

Labels = NDArray[np.uint8]


def read_ids(path: Path) -> list[str]:
    """Read a list of photos, one name a line, such as VOC's ``ImageSets/Segmentation/test.txt``.

    Raises:
        DataError: the file cannot be read or is empty, or a line is no photo's name or comes twice.
    """
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise DataError(f"{path} is empty; give one photo's name a line")
    if odd := [name for name in names if Path(name).name != name or len(name.split()) != 1]:
        raise DataError(f"{path} has the line {odd[0]!r}; expected a photo's name alone, such as 2008_000006")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path} lists {twice[0]} more than once; list every photo once")
    return names


def write_submission(
    target: Path,
    names: Sequence[str],
    photos: Path,
    label: Callable[[Path], Labels],
    *,
    competition: str = "comp6",
    overwrite: bool = False,
    show: Show = silent,
) -> None:
    """Label photos and write ``results/VOC2012/Segmentation/<competition>_test_cls/<name>.png`` for each.

    The PNGs are of mode P with VOC's palette, pixel values 0–20. The archive is the same whenever it is made again.

    Args:
        target: the archive, ending in .tgz, .tar.gz, .tar or .zip.
        names: the photos' names, from `read_ids`.
        photos: their folder.
        label: photo's path → labels (H, W) uint8, 0–20.
        competition: one of `COMPETITIONS`.
        overwrite: replace an existing archive.
        show: takes progress after each photo.

    Raises:
        DataError: a photo is missing, or its labels are not of its size or not 0–20. This comes before any labelling
            where it can.
        ImageError: a photo cannot be read.
        OutputError: the name ends otherwise, the archive exists, or it cannot be written.
    """
    if not target.name.lower().endswith(_SUFFIXES):
        raise OutputError(f"{target}: the server takes an archive; let the name end in {', '.join(_SUFFIXES)}")
    check_output(target, overwrite=overwrite)
    paths = [photo_called(photos, name) for name in names]
    if missing := [path for path in paths if not is_file(path)]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]} is missing{more}; the server wants every photo of its list")
    folder = f"results/VOC2012/Segmentation/{competition}_test_cls"
    with atomic_file(target, overwrite=overwrite) as file, _archive(file, target.name.lower()) as add:
        for done, (name, path) in enumerate(zip(names, paths, strict=True), start=1):
            add(f"{folder}/{name}.png", encode_label_map(_checked(label(path), path), VOC))
            show("labelling", done, len(names), "")


def _checked(labels: Labels, photo: Path) -> Labels:
    height, width, _ = read_image(photo).shape
    if labels.shape != (height, width):
        raise DataError(f"{photo} is {width}x{height} px, but its labels are {labels.shape[1]}x{labels.shape[0]}")
    if labels.max() >= len(VOC):
        raise DataError(f"{photo} got label {labels.max()}; the server takes 0–{len(VOC) - 1} alone, and no void")
    return labels


@contextmanager
def _archive(file: IO[bytes], name: str) -> Iterator[Callable[[str, bytes], None]]:
    """Open an archive of the kind its name says; yield what adds a member to it."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(file, "w") as zipped:  # PNGs are compressed already
            yield lambda member, content: zipped.writestr(zipfile.ZipInfo(member), content)
        return
    plain = nullcontext(file) if name.endswith(".tar") else gzip.GzipFile("", "wb", fileobj=file, mtime=0)
    with plain as stream, tarfile.open(fileobj=stream, mode="w") as tar:

        def add(member: str, content: bytes) -> None:
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        yield add
