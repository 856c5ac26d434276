"""What segmenting files costs: one from a cold shell, a folder, photos of every size, and the CRF on smaller copies.

    python benchmarks/segment_files.py PHOTO [--model MODEL] [--threads 2] [--only folder sizes copies]

"folder" takes copies of PHOTO of at most 500 pixels a side. Memory is the peak of a fresh process that segments one
photo, its imports and the model included, on Linux. "copies" is how far the labels move where the CRF refines a smaller
copy of a photo, here PHOTO enlarged, and not the photo itself.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from crf import machine, seconds_of
from PIL import Image

from deeplab import look
from deeplab.images import write_jpeg
from deeplab.models import find_model
from deeplab.segment import Segmenter

FOLDER_PHOTOS = 24
ENLARGED_MEGAPIXELS = 6
MEGAPIXELS = (0.1, 0.2, 0.5, 1, 2, 4, 8, 12)

FRESH = r"""
import re, sys, time
from pathlib import Path
from deeplab.segment import Segmenter
segmenter = Segmenter.from_pretrained(sys.argv[1], threads=int(sys.argv[3]))
start = time.perf_counter()
segmenter(sys.argv[2])
seconds = time.perf_counter() - start
print(seconds, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def sizes(photo: Path, model: Path, folder: Path, threads: int) -> None:
    """Each size in a process of its own, so that the peak is its own and the first run counts."""
    print(f"\nSizes, {threads} threads, first photo of a fresh process")
    print(f"{'megapixels':>12}{'time':>10}{'s/MP':>8}{'peak':>10}")
    image = Image.open(photo).convert("RGB")
    for megapixels in MEGAPIXELS:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        image.resize((round(image.width * factor), round(image.height * factor))).save(folder / "sized.png")
        command = [sys.executable, "-c", FRESH, str(model), str(folder / "sized.png"), str(threads)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        seconds, peak = float(found[0]), int(found[1]) * 1024 / 1e6
        print(f"{megapixels:12.2f}{seconds:9.2f}s{seconds / megapixels:8.2f}{peak:7.0f} MB", flush=True)


def copies(photo: Path, model: Path, threads: int) -> None:
    """The CRF on smaller and smaller copies against the CRF on the whole photo; `Segmenter` has `MAX_CRF_PIXELS`."""
    image = Image.open(photo).convert("RGB")
    factor = (ENLARGED_MEGAPIXELS * 1e6 / (image.width * image.height)) ** 0.5
    large = np.array(image.resize((round(image.width * factor), round(image.height * factor))))
    segmenter = Segmenter.from_pretrained(model, threads=threads)
    print(f"\nThe CRF on copies of {photo.name} at {ENLARGED_MEGAPIXELS} megapixels")
    print(f"{'megapixels':>12}{'other labels':>14}{'mean |Δ confidence|':>22}{'time':>8}")
    whole = None
    for megapixels in (ENLARGED_MEGAPIXELS, 3, 2, 1, 0.5):
        with patch.object(look, "MAX_CRF_PIXELS", megapixels * 1e6):
            start = time.perf_counter()
            result = segmenter(large)
            seconds = time.perf_counter() - start
        whole = result if whole is None else whole
        other = 100 * np.mean(result.labels != whole.labels)
        moved = np.abs(result.confidence() - whole.confidence()).mean()
        print(f"{megapixels:12.1f}{other:12.3f} %{moved:22.5f}{seconds:7.1f}s", flush=True)


def folder_speed(photo: Path, model: Path, folder: Path, threads: int) -> None:
    """The command: from a cold shell with one photo, and with a folder of them against one after the other."""
    photos = folder / "photos"
    photos.mkdir()
    for number in range(FOLDER_PHOTOS):
        shutil.copy(photo, photos / f"{number:03}{photo.suffix}")
    command = [sys.executable, "-m", "deeplab", "segment", "--model", str(model), "--threads", str(threads)]

    def shell(source: Path) -> None:
        with tempfile.TemporaryDirectory() as results:
            subprocess.run([*command, str(source), "-o", results], capture_output=True, check=True)

    segmenter = Segmenter.from_pretrained(model, threads=threads)

    def warm() -> None:
        result = segmenter(photo)
        result.save(folder / "warm.png", overwrite=True)
        write_jpeg(folder / "warm.jpg", np.asarray(result.overlay()), overwrite=True)

    shell(photo)
    warm()
    one = seconds_of({"warm": warm, "cold": partial(shell, photo)}, 5)
    many = seconds_of({"folder": partial(shell, photos)}, 2)["folder"]
    each = (many - one["cold"]) / (FOLDER_PHOTOS - 1)
    print(
        f"\nOne photo, read, segmented and written with its overlay: warm {one['warm']:.3f} s, "
        f"from a cold shell {one['cold']:.3f} s\n"
        f"A folder of {FOLDER_PHOTOS}: {many:.2f} s, {FOLDER_PHOTOS / many:.2f} photos/s; beyond the first "
        f"{each:.3f} s each, {one['warm'] / each:.2f}x one after the other",
        flush=True,
    )


def small_copy(photo: Path, folder: Path) -> Path:
    """A JPEG of the photo, of at most 500 pixels a side."""
    image = Image.open(photo).convert("RGB")
    image.thumbnail((500, 500))
    image.save(folder / "photo.jpg", quality=92)
    return folder / "photo.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parts = ("folder", "sizes", "copies")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()

    path, threads = find_model(arguments.model), arguments.threads
    print(f"{machine()}; {path.name}, {threads} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "folder" in arguments.only:
            folder_speed(small_copy(arguments.photo, folder), path, folder, threads)
        if "sizes" in arguments.only:
            sizes(arguments.photo, path, folder, threads)
        if "copies" in arguments.only:
            copies(arguments.photo, path, threads)


if __name__ == "__main__":
    main()
