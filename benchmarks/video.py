"""Flicker, accuracy and time of videos whose motion and labels are known: frames alone against a CRF that spans them.

    python benchmarks/video.py DIR [--clips 8] [--frames 24] [--spans 4 8 16] [--stds 2 4 8] [--every 2 4] [--pan 1 4]

DIR is a folder in VOC's layout. Each clip is a window of 320x240 that pans (--pan pixels a frame), shakes and zooms
over a photo of its val split that shows an animal or a person, with sensor noise (4 levels) and an uneven exposure
(1 %), encoded as H.264 at FFmpeg's usual quality and decoded again. Flicker is measured along that motion, void left
out (`deeplab.video.flicker`), mean IoU against the photo's mask moved likewise, over the classes that occur. Windows
overlap by half, as `segment_video` has them. "averaged" are scores averaged over time by a Gaussian before the CRF.
Times are per frame, without the network's, which is shown apart.

    python benchmarks/video.py DIR --davis [--spans 4 8 16] [--stds 4]

DIR is a folder in DAVIS's layout, JPEGImages/SEQUENCE and Annotations/SEQUENCE, of real clips with masks of the thing
that moves. Its IoU is that of the classes it is made of (OBJECTS), the mean over the frames of a clip; flicker is that
of pixels whose colour changes by at most 10 levels.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplab.crf import refine
from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample, load_mask, load_sample
from deeplab.evaluation.confusion import Confusion
from deeplab.images import read_image
from deeplab.planes import Planes
from deeplab.segment import Segmenter
from deeplab.video.cuts import cut_strength
from deeplab.video.flicker import flicker
from deeplab.video.scored import with_scores
from deeplab.video.segment_video import SPAN_FRAMES, T_STD_FRAMES
from deeplab.video.temporal_crf import refine_frames
from deeplab.video.windows import windows

Scores: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 320, 240
COMMON = {"cat", "cow", "dog", "horse", "person", "sheep"}
NOISE_LEVELS, EXPOSURE = 4, 0.01
OBJECTS = {"car": {"car"}, "dog": {"dog"}, "motocross": {"motorbike", "person"}}
"""How the name of a DAVIS sequence begins → the classes that make up what moves in it."""


class Clip(NamedTuple):
    """Frames (T, H, W, 3), the true labels (T, H, W), where each pixel goes next (T-1, H, W, 2), and scores."""

    frames: npt.NDArray[np.uint8]
    truth: Labels
    places: npt.NDArray[np.float64] | None
    scores: list[Scores]


Method: TypeAlias = Callable[[Clip], Labels]


def motion(
    random: np.random.Generator, count: int, size: npt.NDArray[np.int64], pan: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """(T, 3): for each frame how many pixels of the photo one of its own spans, and where (x, y) its first one lies."""
    window = np.array([WIDTH, HEIGHT])
    largest = (size / window).min()
    scale = np.geomspace(first := largest * random.uniform(0.65, 0.8), first * random.uniform(0.9, 1.15), count)
    angle, step = random.uniform(0, 2 * np.pi), random.uniform(*pan) * first
    room = size - 1 - window * scale.max()
    way = np.arange(count)[:, None] * step * [np.cos(angle), np.sin(angle)] + room * random.uniform(0, 1, 2)
    to_and_fro = room - np.abs(way % (2 * room) - room)
    centres = (size - 1) / 2 + to_and_fro - room / 2 + random.normal(0, 0.4, (count, 2))
    return np.column_stack([scale, centres - scale[:, None] * (window - 1) / 2])


def seen(picture: Image.Image, view: npt.NDArray[np.float64], resampling: Image.Resampling) -> npt.NDArray[np.uint8]:
    scale, x, y = view
    corner = 0.5 - 0.5 * scale  # Pillow counts from the corner of a pixel
    matrix = (scale, 0, x + corner, 0, scale, y + corner)
    return np.asarray(picture.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, resampling))


def filmed(frames: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Return frames as they are once encoded and decoded."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.thread_count = 1  # several do not give the same twice
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
    file.seek(0)
    with av.open(file, "r") as film:
        return np.stack([np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in film.decode(video=0)])


def make_clip(
    sample: Sample, seed: int, count: int, pan: tuple[float, float], segmenter: Segmenter
) -> tuple[Clip, float]:
    """Return a clip over a photo, and the seconds that the network took for a frame."""
    random = np.random.default_rng(seed)
    photo, mask = map(Image.fromarray, load_sample(sample))
    views = motion(random, count, np.array(photo.size), pan)
    shot = []
    for view in views:
        clean = seen(photo, view, Image.Resampling.BICUBIC) * (1 + random.normal(0, EXPOSURE))
        shot.append((clean + random.normal(0, NOISE_LEVELS, clean.shape)).round().clip(0, 255).astype(np.uint8))
    frames = filmed(shot)
    truth = np.stack([seen(mask, view, Image.Resampling.NEAREST) for view in views])
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1)
    places = [(now[1:] + now[0] * pixels - then[1:]) / then[0] for now, then in pairwise(views)]
    begun = time.perf_counter()
    scores = [segmenter.network.scores(frame) for frame in frames]
    return Clip(frames, truth, np.stack(places), scores), (time.perf_counter() - begun) / count


def probabilities_of(clip: Clip, place: int) -> Scores:
    height, width = clip.frames.shape[1:3]
    return Planes(clip.scores[place], (height, width), (height, width), 8, are_scores=True).probabilities()


def network_alone(clip: Clip) -> Labels:
    return np.stack([probabilities_of(clip, place).argmax(0) for place in range(len(clip.scores))]).astype(np.uint8)


def frames_alone(segmenter: Segmenter, clip: Clip) -> Labels:
    found = []
    for place, frame in enumerate(clip.frames):
        refined = refine(frame, probabilities_of(clip, place), segmenter.info.crf, threads=segmenter.threads)
        found.append(refined.argmax(0))
    return np.stack(found).astype(np.uint8)


def averaged(std_frames: float, method: Method, clip: Clip) -> Labels:
    times = np.arange(len(clip.scores))
    weights = np.exp(-((times[:, None] - times) ** 2) / 2 / std_frames**2)
    weights /= weights.sum(axis=1, keepdims=True)
    return method(clip._replace(scores=list(np.tensordot(weights.astype(np.float32), clip.scores, 1))))


def spanning(span: int, std_frames: float, segmenter: Segmenter, clip: Clip) -> Labels:
    found = []
    for places, own in windows(range(len(clip.frames)), span):
        together = np.stack([probabilities_of(clip, place) for place in places], axis=1)
        refined = refine_frames(
            clip.frames[places], together, segmenter.info.crf, t_std_frames=std_frames, threads=segmenter.threads
        )
        found += [refined[:, place].argmax(0) for place in own]
    return np.stack(found).astype(np.uint8)


def skipping(every: int, method: Method, clip: Clip) -> Labels:
    scores = [scores for _, scores in with_scores(range(len(clip.frames)), clip.scores.__getitem__, every)]
    return method(clip._replace(scores=scores))


def methods(arguments: argparse.Namespace, segmenter: Segmenter) -> Iterator[tuple[str, Method]]:
    alone, default = partial(frames_alone, segmenter), partial(spanning, SPAN_FRAMES, T_STD_FRAMES, segmenter)
    yield "network alone", network_alone
    yield "CRF, each frame alone", alone
    for span in arguments.spans:
        for std in arguments.stds:
            yield f"CRF, span {span}, std {std:g}", partial(spanning, span, std, segmenter)
    for std in arguments.average:
        yield f"averaged, std {std:g}; CRF, each alone", partial(averaged, std, alone)
        yield f"averaged, std {std:g}; CRF, default", partial(averaged, std, default)
    for every in arguments.every:
        yield f"network on every {every}; CRF, each alone", partial(skipping, every, alone)
        yield f"network on every {every}; CRF, default", partial(skipping, every, default)


def read_davis(folder: Path, segmenter: Segmenter) -> Iterator[tuple[str, list[int], Clip]]:
    """Yield each sequence's name, the classes of the thing that moves, and the clip, its truth 0 and 1."""
    names = segmenter.info.label_set.names
    for sequence in sorted((folder / "JPEGImages").iterdir()):
        classes = next(found for start, found in OBJECTS.items() if sequence.name.startswith(start))
        files = sorted(sequence.iterdir())
        frames = np.stack([read_image(file) for file in files])
        masks = [folder / "Annotations" / sequence.name / f"{file.stem}.png" for file in files]
        truth = np.stack([np.asarray(Image.open(mask).convert("L")) > 127 for mask in masks]).astype(np.uint8)
        scores = [segmenter.network.scores(frame) for frame in frames]
        yield sequence.name, [names.index(name) for name in classes], Clip(frames, truth, None, scores)


def measure_davis(arguments: argparse.Namespace, segmenter: Segmenter) -> None:
    means: dict[str, list[tuple[float, float, float]]] = {}
    for sequence, classes, clip in read_davis(arguments.folder, segmenter):
        strengths = [cut_strength(*pair) for pair in pairwise(clip.frames)]
        print(f"{sequence}: {len(clip.frames)} frames, strongest change {max(strengths):.2f}")
        for name, method in methods(arguments, segmenter):
            begun = time.perf_counter()
            labels = method(clip)
            seconds = (time.perf_counter() - begun) / len(labels)
            found, true = np.isin(labels, classes), clip.truth == 1
            iou = ((found & true).sum((1, 2)) / np.maximum((found | true).sum((1, 2)), 1)).mean()
            means.setdefault(name, []).append((flicker(labels, frames=clip.frames), float(iou), seconds))
            print(
                f"  {name:42} flicker {100 * means[name][-1][0]:.2f} %, IoU {100 * iou:.1f}, {seconds:.3f} s",
                flush=True,
            )
    for name, each in means.items():
        mean = np.mean(each, axis=0)
        print(f"{name:42} flicker {100 * mean[0]:.2f} %, IoU of the object {100 * mean[1]:.1f}, {mean[2]:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--davis", action="store_true", help="real clips in DAVIS's layout")
    parser.add_argument("--model")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--pan", type=float, nargs=2, default=(1, 4), metavar="PX", help="pixels a frame, from and to")
    parser.add_argument("--average", type=float, nargs="*", default=[1, 2])
    parser.add_argument("--spans", type=int, nargs="*", default=[4, 8, 16])
    parser.add_argument("--stds", type=float, nargs="*", default=[2, 4, 8])
    parser.add_argument("--every", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    segmenter = Segmenter.from_pretrained(arguments.model, threads=arguments.threads)
    if arguments.davis:
        measure_davis(arguments, segmenter)
        return
    label_set = segmenter.info.label_set
    wanted = [label_set.names.index(name) for name in sorted(COMMON)]
    samples = [s for s in read_samples("voc", arguments.folder, "val") if np.isin(load_mask(s), wanted).mean() > 0.05]
    chosen = samples[:: max(1, len(samples) // arguments.clips)][: arguments.clips]
    truth_flicker, network_seconds = [], []
    results: dict[str, tuple[list[float], list[Confusion], list[float]]] = {}
    for seed, sample in enumerate(chosen):
        clip, seconds = make_clip(sample, seed, arguments.frames, tuple(arguments.pan), segmenter)
        network_seconds.append(seconds)
        truth_flicker.append(flicker(clip.truth, places=clip.places))
        unknown = clip.truth == label_set.void
        for name, method in methods(arguments, segmenter):
            begun = time.perf_counter()
            labels = method(clip)
            flickers, confusions, times = results.setdefault(name, ([], [], []))
            times.append((time.perf_counter() - begun) / arguments.frames)
            flickers.append(flicker(np.where(unknown, label_set.void, labels), places=clip.places))
            confusions += [Confusion.of(*pair, label_set) for pair in zip(clip.truth, labels, strict=True)]
        print(f"{sample.name}: " + ", ".join(f"{name} {100 * found[0][-1]:.2f}" for name, found in results.items()))
    print(f"{len(chosen)} clips of {arguments.frames} frames of {WIDTH}x{HEIGHT}; flicker of the true labels "
          f"{100 * np.mean(truth_flicker):.2f} %; network {np.median(network_seconds):.3f} s a frame")  # fmt: skip
    base = np.array(results["CRF, each frame alone"][0])
    for name, (flickers, confusions, times) in results.items():
        total = sum(confusions, Confusion.empty(label_set))
        less = np.count_nonzero(np.array(flickers) < base)
        print(
            f"{name:42} flicker {100 * np.mean(flickers):.2f} % (below each alone in {less} of {len(flickers)}), "
            f"mean IoU {100 * total.mean_iou:.2f}, accuracy {100 * total.pixel_accuracy:.2f}, {np.median(times):.3f} s"
        )


if __name__ == "__main__":
    main()
