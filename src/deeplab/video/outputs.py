"""The outputs of a segmented video: a video tinted by class, or a folder of label maps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import OutputError
from deeplab.files import check_output, make_folder
from deeplab.images import overlay_image
from deeplab.label_maps import write_label_map
from deeplab.labels import LabelSet
from deeplab.video.clip import Clip, Frame
from deeplab.video.encoding import ENCODERS, can_hold, codec_of, encoded_video, encoder, suffix_for

Labels = NDArray[np.uint8]


class Output(NamedTuple):
    """A result in the making.

    Attributes:
        path: the file or folder it will be.
        write: takes a frame and its labels (H, W), in order.
        notes: what whoever asked for it should know, in words.
    """

    path: Path
    write: Callable[[Frame, Labels], None]
    notes: list[str]


@contextmanager
def _overlay(clip: Clip, folder: Path, label_set: LabelSet, overwrite: bool) -> Iterator[Output]:
    """Write NAME_overlay.mp4, or .mkv."""
    suffix = suffix_for(clip)
    path = folder / f"{clip.path.stem}_overlay{suffix}"
    check_output(path, overwrite=overwrite)
    notes = []
    if (used := encoder()) != ENCODERS[0]:
        notes.append(f"encoded as {used.title}: this PyAV lacks {ENCODERS[0].name}")
    if lost := [codec_of(stream) for stream in clip.audio if not can_hold(stream, suffix)]:
        notes.append(f"sound left out: {suffix} holds no {', '.join(lost)}")
    with encoded_video(path, clip, overwrite=overwrite) as encode:

        def write(frame: Frame, labels: Labels) -> None:
            encode(overlay_image(frame.image, labels, label_set), frame.time)

        yield Output(path, write, notes)


@contextmanager
def _label_maps(clip: Clip, folder: Path, label_set: LabelSet, overwrite: bool) -> Iterator[Output]:
    """Write NAME_labels/NAME_000001.png and so on; of an earlier run that is replaced, nothing is left at the end."""
    name = clip.path.stem
    path = folder / f"{name}_labels"
    make_folder(path)
    earlier = [file for file in path.iterdir() if re.fullmatch(re.escape(name) + r"_\d{6,}\.png", file.name)]
    if earlier and not overwrite:
        raise OutputError(
            f"{path} holds label maps already; give --force (overwrite=True) to replace them, or another -o"
        )
    written: list[Path] = []

    def write(frame: Frame, labels: Labels) -> None:
        written.append(path / f"{name}_{len(written) + 1:06d}.png")
        write_label_map(written[-1], labels, label_set, overwrite=overwrite)

    yield Output(path, write, [])
    for file in set(earlier) - set(written):
        file.unlink()


KINDS: dict[str, Callable[[Clip, Path, LabelSet, bool], AbstractContextManager[Output]]] = {
    "overlay": _overlay,
    "labels": _label_maps,
}
"""What a video can become → what writes it, from the clip, the folder, the label set, and whether to overwrite."""
