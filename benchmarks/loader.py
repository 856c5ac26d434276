"""How many training crops a second the loader makes, against a plain loop in one thread, in one process.

    python benchmarks/loader.py DATA [--reader camvid] [--path camvid] [--split train] [--threads 1 2] [--examples 400]

The plain loop loads, crops and stacks one batch after the other. "kept" is a second pass, with decoded photos kept in
memory. A core's share is examples by seconds of processor time, which other work on the machine disturbs less than the
clock. Runs of all rows are interleaved; the median is taken. The file cache is warm.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from deeplab.data.augment import Augment
from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.preprocessing import CAFFE_VGG
from deeplab.training.batches import Crops, Photos, batches

CROP_PX = 321
BATCH = 10
VARIED = Augment(scale_min=0.5, scale_max=2, colour=0.2)


def make_crops(samples: Sequence[Sample], augment: Augment | None = None, cache_gb: float = 0) -> Crops:
    photos = Photos(samples, CAFFE_VGG, cache_bytes=cache_gb * 1e9)
    return Crops(photos, CAFFE_VGG, CROP_PX, seed=1, augment=augment or Augment())


def plain(crops: Crops, examples: int) -> None:
    for start in range(0, examples, BATCH):
        made = [crops(number) for number in range(start, start + BATCH)]
        inputs = torch.from_numpy(np.stack([pixels for pixels, _ in made]))
        inputs.contiguous(memory_format=torch.channels_last)
        np.stack([labels for _, labels in made]).astype(np.int64)


def loader(crops: Crops, threads: int, examples: int) -> None:
    for _ in islice(batches(crops, BATCH, 0, workers=threads), examples // BATCH):
        pass


def measure(run: Callable[[], None], examples: int) -> tuple[float, float]:
    """Return examples a second of the clock, and of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return examples / (time.perf_counter() - clock), examples / (time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--reader", default="camvid")
    parser.add_argument("--path", default="camvid")
    parser.add_argument("--split", default="train")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)

    samples = read_samples(given.reader, given.data / given.path, given.split)
    kept = make_crops(samples, cache_gb=4)
    loader(kept, 2, 2 * len(samples))  # every photo was there once, and files are in the system's cache
    rows: dict[str, Callable[[], None]] = {"plain loop": lambda: plain(make_crops(samples), given.examples)}
    for threads in sorted(set(given.threads)):
        name = f"loader, {threads} thread{'s'[: threads > 1]}"
        rows[name] = lambda n=threads: loader(make_crops(samples), n, given.examples)  # type: ignore[misc]
        rows[f"{name}, varied"] = lambda n=threads: loader(make_crops(samples, VARIED), n, given.examples)  # type: ignore[misc]
        rows[f"{name}, kept"] = lambda n=threads: loader(kept, n, given.examples)  # type: ignore[misc]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(given.runs):
        for name, run in rows.items():
            found[name].append(measure(run, given.examples))

    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; Python {platform.python_version()}, "
          f"PyTorch {torch.__version__}, Pillow {version('pillow')}")  # fmt: skip
    print(f"{len(samples)} photos of {given.path} {given.split}, crops of {CROP_PX} px, batches of {BATCH}; "
          f"median of {given.runs} runs of {given.examples}")  # fmt: skip
    print(f"{'':28}{'images/s':>10}{'a core':>10}{'ratio':>8}")
    reference = statistics.median(clock for clock, _ in found["plain loop"])
    for name, figures in found.items():
        clock, processor = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"{name:28}{clock:10.0f}{processor:10.0f}{clock / reference:7.2f}x")


if __name__ == "__main__":
    main()
