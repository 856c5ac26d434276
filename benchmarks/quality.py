"""What `--quality best` gains in mean IoU, and how many times the default's time it takes, in one process.

    python benchmarks/quality.py DATA [--split val] [--model NAME] [--photos 100] [--threads N]

DATA is a labelled data set in any layout that `deeplab check-data` knows. Every photo is labelled four ways, by each
quality alone and with the CRF; times are the medians of whole photos from pixels to labels. Intervals are 95 %,
over resampled photos, of the difference between qualities on the same photos.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from deeplab import Segmenter
from deeplab.data.readers import read_samples
from deeplab.data.samples import load_sample
from deeplab.evaluation import figures
from deeplab.evaluation.bootstrap import draw_photos, estimate
from deeplab.evaluation.confusion import Confusion
from deeplab.views import QUALITIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model")
    parser.add_argument("--photos", type=int, default=100, help="so many, evenly spaced")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    samples = read_samples("auto", given.data, given.split)
    samples = samples[:: max(1, len(samples) // given.photos)][: given.photos]
    segmenter = Segmenter.from_pretrained(given.model, threads=given.threads)
    segmenter(load_sample(samples[0])[0])  # the first run is slower
    label_set = segmenter.info.label_set
    ways = [(quality, crf) for quality in QUALITIES for crf in (False, True)]
    tallies: dict[tuple[str, bool], list[np.ndarray]] = {way: [] for way in ways}
    seconds: dict[tuple[str, bool], list[float]] = {way: [] for way in ways}
    for sample in samples:
        image, labels = load_sample(sample)
        for quality, crf in ways:
            begun = time.perf_counter()
            found = segmenter.segment(image, crf=crf, quality=quality).labels
            seconds[quality, crf].append(time.perf_counter() - begun)
            tallies[quality, crf].append(Confusion.of(labels, found, label_set).tally)
    draws = draw_photos(len(samples))
    print(f"{segmenter.info.name}, {len(samples)} photos of {given.split}")
    for crf in (False, True):
        base = np.stack(tallies["fast", crf])
        usual = statistics.median(seconds["fast", crf])
        for quality in QUALITIES:
            own = np.stack(tallies[quality, crf])
            gain = estimate(figures.mean_iou, own, draws, minus=base)
            times = statistics.median(seconds[quality, crf]) / usual
            way = f"{quality:5} {'with the CRF' if crf else 'alone':13}"
            mean, value, low, high = (100 * figure for figure in (figures.mean_iou(own.sum(0)), *gain))
            print(f"{way} mean IoU {mean:.2f}, {value:+.2f} [{low:+.2f}, {high:+.2f}], {times:.1f} times the time")


if __name__ == "__main__":
    main()
