"""How good classes taught by a few strokes are, against all pixels of the same photos and against hand-made filters.

    python benchmarks/teach.py strokes msrc21|camvid|voc DATA [--photos 2 5 10] [--strokes 1 3] [--tasks 4]
    python benchmarks/teach.py boxes DATA [--photos 60]

A task is a few classes and photos to teach them on and to test them on: one of MSRC-21's kinds of scene, CamVid's
streets, or one class of VOC against all else. On every connected region of a class of at least half a percent of a
photo so many strokes are drawn, straight lines of up to an eighth of the photo's longer side that keep within the
region, 3 px wide. Printed is the mean IoU over a task's classes, averaged over tasks: without the CRF, with it, for a
random forest of 100 trees on Gaussian filters as ilastik has them, and for all pixels of the same photos; then what
share of the last the strokes reach, and the processor time of one more stroke.

`boxes` gives each region of VOC's val split the box around it, one photo at a time, and prints the IoU of the masks by
class: the box itself, OpenCV's GrabCut where it is installed, Bbox-Seg (the CRF alone), and a teacher that sees that
photo alone. `--model` names the trunk. Both shipped networks descend from photos of MSRC-21 and VOC, where they
flatter; CamVid is new to voc-largefov.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from deeplab.boxes import bbox_seg
from deeplab.crf import CRFParams, CRFSettings
from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample, load_sample
from deeplab.labels import VOC, LabelSet
from deeplab.teach import Box, Stroke, Teacher
from deeplab.teach.marks import checked, draw

Labels: TypeAlias = NDArray[np.uint8]
VOID, WIDTH_PX = 255, 3
VOC_CLASSES = ("cat", "bird", "bus", "person", "car", "sheep")


class Task(NamedTuple):
    """Photos and label maps (H, W) to teach and to test on, 255 what no class of the task is."""

    name: str
    classes: list[str]
    teach: list[tuple[NDArray[np.uint8], Labels]]
    test: list[tuple[NDArray[np.uint8], Labels]]


def strokes_on(labels: Labels, classes: list[str], count: int, random: np.random.Generator) -> list[Stroke]:
    """Simulate a user who draws so many strokes on every region."""
    drawn = []
    for label, regions in ((label, ndimage.label(labels == label)[0]) for label in range(len(classes))):
        for region in range(1, regions.max() + 1):
            inside = regions == region
            if inside.mean() < 0.005:
                continue
            depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
            places = np.argwhere(depth >= min(WIDTH_PX + 1, depth.max()))
            for _ in range(count):
                start, *ends = places[random.integers(len(places), size=30)]
                within = [end for end in ends if _keeps_within(inside, start, end)]
                end = max(within, key=lambda end: float(np.hypot(*(end - start))), default=start)
                line = [(float(x) + 0.5, float(y) + 0.5) for y, x in (start, end)]
                drawn.append(Stroke(classes[label], line, WIDTH_PX))
    return drawn


def _keeps_within(inside: NDArray[np.bool_], start: NDArray[np.intp], end: NDArray[np.intp]) -> bool:
    length = float(np.hypot(*(end - start)))
    line = np.linspace(start, end, int(length) + 2).round().astype(int)
    return length <= max(inside.shape) / 8 and bool(inside[tuple(line.T)].all())


def tasks_of(data: str, root: Path, count: int, photos: int) -> Iterator[Task]:
    """Yield the tasks of a data set, each with at least so many photos to teach on and 6 to test on."""
    if data == "camvid":
        parts = [read_samples("camvid", root, split) for split in ("train", "val")]
        chosen = [_spread(part, number) for part, number in zip(parts, (photos, 6), strict=True)]
        yield _task("camvid", list(range(11)), *chosen)
    elif data == "msrc21":
        samples = read_samples("msrc21", root, "all")
        for kind in [f"{number}_" for number in (1, 3, 5, 9, 15, 17, 19, 20)][:count]:
            own = [s for s in samples if s.name.startswith(kind) and len(np.unique(load_sample(s)[1])) > 2]
            yield _task(f"msrc21 {kind[:-1]}", None, own[:photos], own[-6:])
    else:
        train, val = (read_samples("voc", root, split) for split in ("train", "val"))
        for name in VOC_CLASSES[:count]:
            own = [
                list(_with_class(part, VOC.names.index(name), number)) for part, number in ((train, photos), (val, 6))
            ]
            yield _task(f"voc {name}", [0, VOC.names.index(name)], *own)


def _spread(samples: tuple[Sample, ...], count: int) -> list[Sample]:
    return [samples[i * len(samples) // count] for i in range(count)]


def _with_class(samples: tuple[Sample, ...], label: int, count: int) -> Iterator[Sample]:
    for sample in samples:
        if count and (load_sample(sample)[1] == label).mean() > 0.03:
            count -= 1
            yield sample


def _task(name: str, labels: list[int] | None, teach: list[Sample], test: list[Sample]) -> Task:
    loaded = [[load_sample(sample) for sample in part] for part in (teach, test)]
    if labels is None:  # the classes of at least a percent of the first photos
        counts = sum(np.bincount(mask.ravel(), minlength=256)[:255] for _, mask in loaded[0])
        labels = np.flatnonzero(counts > 0.01 * np.sum(counts)).tolist()
    table = np.full(256, VOID, np.uint8)
    table[labels] = np.arange(len(labels))
    names = [teach[0].label_set.names[label] for label in labels]
    return Task(name, names, *([(photo, table[mask]) for photo, mask in part] for part in loaded))


def mean_iou(task: Task, predict: Callable[[NDArray[np.uint8]], Labels]) -> float:
    """Return the mean IoU over the classes that the test photos hold."""
    size = len(task.classes)
    confusion = np.zeros((size, size))
    for photo, mask in task.test:
        known = mask != VOID
        np.add.at(confusion, (mask[known], predict(photo)[known]), 1)
    own = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - own
    there = confusion.sum(1) > 0
    return float((own[there] / either[there]).mean())


def filters(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ilastik's kind of features: smoothed colours, edges and texture at scales of 0.7 to 10 px, (H·W, D)."""
    found: NDArray[np.float32] = multiscale_basic_features(photo, sigma_min=0.7, sigma_max=10, channel_axis=-1)
    return found.reshape(-1, found.shape[2])


def forest(task: Task, drawn: list[list[Stroke]]) -> float:
    """Return the mean IoU of a random forest on filters."""
    rows, labels = [], []
    for (photo, mask), strokes in zip(task.teach, drawn, strict=False):
        label_set = LabelSet("task", tuple(task.classes))
        marked = draw(checked(strokes, mask.shape, label_set), mask.shape, label_set, mask.shape).ravel()
        rows.append(filters(photo)[marked != VOID])
        labels.append(marked[marked != VOID])
    trees = RandomForestClassifier(100, random_state=0, class_weight="balanced")
    trees.fit(np.concatenate(rows), np.concatenate(labels))
    return mean_iou(task, lambda photo: trees.predict(filters(photo)).reshape(photo.shape[:2]))


def taught(task: Task, model: str, cache: str, marks: list[list[Stroke]] | list[Labels]) -> tuple[float, float, float]:
    """Return the mean IoU without and with the CRF, and the processor time in seconds that one more stroke takes."""
    teacher = Teacher(task.classes, model, cache=cache)
    for (photo, _), own in zip(task.teach, marks, strict=False):
        teacher.mark(photo, own)
    scores = [mean_iou(task, lambda photo: teacher.segment(photo, crf).labels) for crf in (False, True)]  # noqa: B023
    photo = task.teach[0][0]
    teacher.segment(photo)
    teacher.mark(photo, Stroke(task.classes[0], [(3, 3), (9, 9)]))
    start = time.process_time()
    teacher.segment(photo)
    return scores[0], scores[1], time.process_time() - start


def strokes(options: argparse.Namespace) -> None:
    """Print the table of strokes."""
    rows: dict[tuple[int, int], list[tuple[float, ...]]] = defaultdict(list)
    for task in tasks_of(options.data, options.root, options.tasks, max(options.photos)):
        for photos in options.photos:
            full = taught(task, options.model, options.cache, [mask for _, mask in task.teach[:photos]])
            for count in options.strokes:
                random = np.random.default_rng(0)
                drawn = [strokes_on(mask, task.classes, count, random) for _, mask in task.teach[:photos]]
                ours = taught(task, options.model, options.cache, drawn)
                peer = forest(task, drawn) if options.forest else float("nan")
                rows[photos, count].append((*ours[:2], peer, *full[:2], ours[2]))
                print(
                    f"# {task.name}: {photos} photos, {count} strokes:",
                    *(f"{v:.3f}" for v in rows[photos, count][-1]),
                    flush=True,
                )
    columns = "photos", "strokes a region", "no CRF", "CRF", "forest", "all, no CRF", "all, CRF", "share", "s"
    print("\n| " + " | ".join(columns) + " |")
    print("| --- " * 9 + "|")
    for (photos, count), found in rows.items():
        mean = np.mean(found, axis=0)
        cells = [f"{100 * value:.1f}" for value in mean[:5]]
        print(
            f"| {photos} | {count} | "
            + " | ".join(cells)
            + f" | {100 * mean[1] / mean[4]:.0f} % | {np.median([f[5] for f in found]):.2f} |"
        )


def grab_cut(photo: NDArray[np.uint8], boxes: list[Box]) -> Labels:
    """Return a label map by OpenCV's GrabCut, box after box, five iterations each."""
    import cv2  # type: ignore[import-not-found]

    labels = np.zeros(photo.shape[:2], np.uint8)
    for box in sorted(boxes, key=lambda b: (b.x0 - b.x1) * (b.y1 - b.y0)):
        mask, models = np.zeros(labels.shape, np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
        x0, y0 = max(1, int(box.x0)), max(1, int(box.y0))  # it wants something outside the box
        window = (x0, y0, min(int(box.x1), photo.shape[1] - 1) - x0, min(int(box.y1), photo.shape[0] - 1) - y0)
        cv2.setRNGSeed(0)
        cv2.grabCut(photo[..., ::-1].copy(), mask, window, *models, 5, cv2.GC_INIT_WITH_RECT)
        labels[mask % 2 == 1] = box.label
    return labels


def boxes(options: argparse.Namespace) -> None:
    """Print the table of boxes."""
    own: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((21, 2)))
    for sample in _spread(read_samples("voc", options.root, "val"), options.photos[0]):
        photo, mask = load_sample(sample)
        around = []
        for label in set(np.unique(mask).tolist()) - {0, VOID}:
            # Void outlines belong to the thing, so that its parts hang together.
            regions, _ = ndimage.label((mask == label) | (mask == VOID))
            for region, window in enumerate(ndimage.find_objects(regions), start=1):
                part = np.argwhere((mask == label) & (regions == region))
                if window is not None and len(part) > 0.005 * mask.size:
                    (y0, x0), (y1, x1) = part.min(0), part.max(0) + 1
                    around.append(Box(label, float(x0), float(y0), float(x1), float(y1)))
        if not around:
            continue
        teacher = Teacher(VOC, options.model, cache=options.cache)
        teacher.mark(photo, around)
        found = {"box": np.zeros(mask.shape, np.uint8), "teacher": teacher.segment(photo).labels}
        found["teacher, no CRF"] = teacher.segment(photo, crf=False).labels
        for box in sorted(around, key=lambda b: (b.x0 - b.x1) * (b.y1 - b.y0)):
            found["box"][int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = box.label
        for params in (CRFParams(5, 50, 5), CRFParams(8, 60, 8), CRFParams(10, 80, 13)):
            name = f"Bbox-Seg {params.bilateral_weight:g}/{params.bilateral_xy_std_px:g}/{params.bilateral_rgb_std:g}"
            found[name] = bbox_seg(photo, around, VOC, CRFSettings(params))
        if find_spec("cv2"):
            found["GrabCut"] = grab_cut(photo, around)
        for name, labels in found.items():
            for label in range(21):
                there, said = (mask == label) & (mask != VOID), (labels == label) & (mask != VOID)
                own[name][label] += (there & said).sum(), (there | said).sum()
    print("| class | " + " | ".join(own) + " |\n" + "| --- " * (len(own) + 1) + "|")
    ious = {name: 100 * counts[:, 0] / np.maximum(counts[:, 1], 1) for name, counts in own.items()}
    there = [label for label in range(21) if own["box"][label, 1]]
    for label in there:
        print(f"| {VOC.names[label]} | " + " | ".join(f"{iou[label]:.1f}" for iou in ious.values()) + " |")
    print("| mean | " + " | ".join(f"{iou[there].mean():.1f}" for iou in ious.values()) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("strokes", "boxes"):
        command = commands.add_parser(name)
        if name == "strokes":
            command.add_argument("data", choices=("msrc21", "camvid", "voc"))
            command.add_argument("--strokes", type=int, nargs="+", default=[1, 3])
            command.add_argument("--tasks", type=int, default=4)
            command.add_argument("--no-forest", dest="forest", action="store_false")
        command.add_argument("root", type=Path)
        command.add_argument("--model", default="camvid-largefov")
        command.add_argument("--photos", type=int, nargs="+", default=[2, 5, 10] if name == "strokes" else [60])
        command.add_argument("--cache", help="a folder that keeps features from run to run")
    given = parser.parse_args()
    {"strokes": strokes, "boxes": boxes}[given.command](given)
