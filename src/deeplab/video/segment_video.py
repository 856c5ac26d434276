"""A video's main path: frames → network scores → a CRF that spans frames → overlay video or label maps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice, check_count, check_number
from deeplab.crf import CRFSettings, refine
from deeplab.files import make_folder
from deeplab.images import shrunk
from deeplab.look import Look
from deeplab.planes import Planes
from deeplab.progress import Show, duration
from deeplab.scores import likeliest
from deeplab.segment import Segmenter
from deeplab.video.clip import Frame, open_clip
from deeplab.video.cuts import CUT_THRESHOLD, shots
from deeplab.video.outputs import KINDS
from deeplab.video.scored import with_scores
from deeplab.video.temporal_crf import refine_frames
from deeplab.video.windows import windows

SPAN_FRAMES = 8
"""How many frames a CRF spans where nothing else is said."""

T_STD_FRAMES = 4.0
"""σt, how far in time pixels alike listen to each other, in frames; docs/video.md has the measurements."""


@dataclass(frozen=True)
class SegmentedVideo:
    """What became of a video.

    Attributes:
        output: the overlay video, or the folder of label maps.
        frames: how many frames it has.
        cuts: the frames, from 0, that begin a new scene; nothing was carried across to them.
        shares: the share (0–1) of the pixels of all frames of every class found, largest first.
        notes: what whoever asked for it should know, in words.
    """

    output: Path
    frames: int
    cuts: tuple[int, ...]
    shares: dict[str, float]
    notes: tuple[str, ...]


def segment_video(
    video: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    segmenter: Segmenter,
    *,
    kind: str = "overlay",
    span: int = SPAN_FRAMES,
    every: int = 1,
    cut_threshold: float = CUT_THRESHOLD,
    side_px: int | None = None,
    crf: bool | CRFSettings = True,
    overwrite: bool = False,
    show: Show | None = None,
) -> SegmentedVideo:
    """Segment a video frame by frame, with a CRF over several frames so that labels do not flicker.

    Frames are streamed: memory holds a window and a half of them, however long the video is.

    Args:
        video: a file of one of `deeplab.video.clip.VIDEO_SUFFIXES`.
        folder: where the result goes, made if it is missing.
        segmenter: the model, its CRF parameters and threads.
        kind: "overlay" for the video tinted by class, NAME_overlay.mp4 (or .mkv), with the original's times and sound;
            "labels" for NAME_labels/NAME_000001.png and so on, one label map for each frame.
        span: how many frames the CRF works on at a time, at least 1, which is each frame alone. Of more it keeps the
            middle half.
        every: run the network on every Nth frame, at least 1, and interpolate its scores between.
        cut_threshold: how strong a change from one frame to the next is taken for a scene cut, 0–1 (`cut_strength`);
            neither the CRF nor the scores of `every` reach across. 1 finds none.
        side_px: the longest side, in pixels, at which frames are segmented, None for what the network sees; labels of
            larger ones are enlarged.
        crf: whether to refine by the CRF as the model asks; or how else to, as in `Segmenter.segment`.
        overwrite: replace existing results.
        show: takes the progress.

    Returns:
        Where the result is, and what was found.

    Raises:
        ImageError: the video is missing, damaged, no video, or too large; see `open_clip`.
        InputError: an option is out of range, or PyAV is not installed.
        OutputError: a result exists, or cannot be written. An overlay video is written whole or not at all, and so is
            each label map.
        MemoryError: a window of frames does not fit in memory.
    """
    check_choice(kind, tuple(KINDS), "kind")
    check_count(span, 1, "span")
    check_count(every, 1, "every")
    check_number(cut_threshold, "cut_threshold", most=1.0)
    side_px = segmenter.info.preprocessing.max_side_px if side_px is None else side_px
    check_count(side_px, 1, "side_px")
    label_set = segmenter.info.label_set
    with open_clip(video) as clip:
        make_folder(folder)
        cuts: list[int] = []
        scenes = shots(_items(clip.frames(), side_px), lambda item: item.copy, cut_threshold)
        results = _segmented(scenes, cuts, segmenter, span if crf else 1, every, crf)
        counts, done, begun = np.zeros(256, np.int64), 0, time.monotonic()
        stage = f"segmenting {clip.path.name}"
        with KINDS[kind](clip, Path(folder), label_set, overwrite) as output:
            for frame, labels in results:
                output.write(frame, labels)
                counts += np.bincount(labels.ravel(), minlength=256)
                done += 1
                if show is not None:
                    show(stage, done, max(done, clip.expected), _speed(done, clip.expected, begun))
        if show is not None:
            show(stage, done, done, "")
        order = [label for label in np.argsort(-counts, kind="stable")[: len(label_set)] if counts[label]]
        shares = {label_set.names[label]: float(counts[label] / counts.sum()) for label in order}
        if clip.damaged or clip.is_cut_off:
            expected = f" of about {clip.expected}" if clip.expected > done else ""
            output.notes.append(f"{done} frames{expected} were read: the file is damaged or cut off; copy it again")
        return SegmentedVideo(output.path, done, tuple(cuts), shares, tuple(output.notes))


class _Item(NamedTuple):
    """A frame and the copy of it, of at most `side_px`, that is segmented."""

    frame: Frame
    copy: NDArray[np.uint8]


def _items(frames: Iterable[Frame], side_px: int) -> Iterator[_Item]:
    for frame in frames:
        yield _Item(frame, shrunk(frame.image, side_px / max(frame.image.shape)))


def _segmented(
    scenes: Iterable[Iterable[_Item]],
    cuts: list[int],
    segmenter: Segmenter,
    span: int,
    every: int,
    crf: bool | CRFSettings,
) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
    """Yield each frame with its labels, (H, W) like the frame; put into `cuts` which frames begin another scene."""

    def score(item: _Item) -> NDArray[np.float32]:
        return segmenter.look(item.copy).scores

    done = 0
    for scene in scenes:
        if done:
            cuts.append(done)
        for window, own in windows(with_scores(scene, score, every), span):
            copies, scores = [item.copy for item, _ in window], [scores for _, scores in window]
            for place, probabilities in zip(own, _probabilities(copies, scores, own, segmenter, crf), strict=True):
                frame = window[place][0].frame
                yield frame, _labels(probabilities, frame.image.shape[:2])
                done += 1


def _probabilities(
    copies: list[NDArray[np.uint8]],
    scores: list[NDArray[np.float32]],
    own: range,
    segmenter: Segmenter,
    crf: bool | CRFSettings,
) -> list[NDArray[np.float32]]:
    """Return the probabilities (L, h, w) of a window's own frames, from the copies (h, w, 3) and scores of all."""
    info, threads = segmenter.info, segmenter.threads
    seen = info.preprocessing.shrink(copies[0]).shape[:2]
    looks = [Look(*each, seen, info, threads) for each in zip(copies, scores, strict=True)]
    single = [look.probabilities() for look in looks]
    if not crf:
        return [single[place] for place in own]
    settings = (info.crf if crf is True else crf).scaled(looks[0].enlargement)
    if len(single) == 1:
        return [refine(copies[0], single[0], settings, threads=threads)]
    together = np.stack(single, axis=1)
    refined = refine_frames(np.stack(copies), together, settings, t_std_frames=T_STD_FRAMES, threads=threads)
    return [refined[:, place] for place in own]


def _labels(probabilities: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the likeliest labels (H, W) of a frame from the probabilities (L, h, w) of its copy."""
    found = np.unique(likeliest(probabilities)[0])  # only these are enlarged
    labels: NDArray[np.uint8] = found[Planes(probabilities[found], size, probabilities.shape[1:]).likeliest()[0]]
    return labels


def _speed(done: int, expected: int, begun: float) -> str:
    rate = done / max(time.monotonic() - begun, 1e-9)
    left = f", {duration((expected - done) / rate)} left" if expected > done else ""
    return f"{rate:.1f} frames/s{left}"
