"""Photos and their scores in, files out: which scores belong to which photo, where results go, and never over input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import repeat
from pathlib import Path

import numpy as np

from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.files import atomic_files, check_output, is_folder
from deeplab.images import encode_jpeg, overlay_image
from deeplab.labels import LabelSet
from deeplab.refinement.refine_scores import Refinement
from deeplab.refinement.score_files import (
    LABEL_SUFFIXES,
    PROBABILITY_SUFFIXES,
    SCORE_SUFFIXES,
    check_suffix,
    put_labels,
    put_probabilities,
)
from deeplab.seals import is_sealed, sealed

Pair = tuple[Path, Path]

_MAKER = "refine"  # as the seals of its pictures say


@dataclass(frozen=True)
class Job:
    """One photo with its scores and the files they become.

    Attributes:
        photo: the photo's path.
        scores: the path of its scores.
        label_map: where the refined labels go, .png or .npy.
        overlay: where the photo tinted by label goes, .jpg; None for no overlay.
        probabilities: where the refined probabilities go, .npy or .npz; None for nowhere.
        depth: the path of the photo's depth; None: it is not known.
    """

    photo: Path
    scores: Path
    label_map: Path
    overlay: Path | None = None
    probabilities: Path | None = None
    depth: Path | None = None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files to write."""
        return tuple(path for path in (self.label_map, self.overlay, self.probabilities) if path is not None)

    def check_outputs(self, *, overwrite: bool = False) -> None:
        """Check that each file may be written: it is not there, or is this photo's, refined before and not changed.

        Raises:
            OutputError: it may not, and is not to be overwritten.
        """
        for path in self.outputs:
            check_output(path, overwrite=overwrite or is_sealed(path, _MAKER, self.photo))

    def write(self, result: Refinement, *, overwrite: bool = False) -> None:
        """Write the job's files, all of them or none.

        Raises:
            InputError: an overlay is asked of labels above 255.
            OutputError: a file exists or cannot be written.
        """
        if self.overlay is not None and result.labels.dtype != np.uint8:
            raise InputError(f"labels up to {result.labels.max()} have no colours for an overlay; expected up to 255")
        self.check_outputs(overwrite=overwrite)
        with atomic_files(*self.outputs, overwrite=True) as files:
            at = dict(zip(self.outputs, files, strict=True))
            labels = BytesIO()
            put_labels(labels, self.label_map, result.labels, result.label_set)
            at[self.label_map].write(sealed(labels.getvalue(), _MAKER, self.photo))
            if self.overlay is not None:
                label_set = result.label_set or _unnamed(result.understanding.labels[-1])
                tinted = overlay_image(result.image, result.labels.astype(np.uint8), label_set)
                at[self.overlay].write(sealed(encode_jpeg(tinted), _MAKER, self.photo))
            if self.probabilities is not None:
                named = result.understanding.labels
                put_probabilities(at[self.probabilities], self.probabilities, result.probabilities, named)


def _unnamed(most: int) -> LabelSet:
    """Labels 0 … most without names. Label 0 is the background of label 1; beside others it is a class like them."""
    return LabelSet("labels", tuple(map(str, range(min(most, 254) + 1))), background=0 if most <= 1 else None)


def pair_scores(photos: Iterable[Path | DeepLabError], scores: Path, what: str = "scores") -> list[Pair | DeepLabError]:
    """Give each photo its scores: the file, for a single photo, or the one of the photo's name in the folder.

    Args:
        photos: as `deeplab.batch.find_photos` yields them; errors pass through.
        scores: a file, or a folder with files called as the photos but for the ending.
        what: they are, for the errors: depths are found in the same way.

    Returns:
        (photo, its scores), or in its place an InputError where there are none or several.
    """
    photos = list(photos)
    if not is_folder(scores):
        if len(photos) > 1:
            raise InputError(f"{len(photos)} photos, but one file of {what} {scores}; give the folder of all {what}")
        return [(photo, scores) if isinstance(photo, Path) else photo for photo in photos]
    by_name: dict[str, list[Path]] = {}
    for path in sorted(scores.iterdir()):
        if path.suffix.lower() in SCORE_SUFFIXES:
            by_name.setdefault(path.stem, []).append(path)
    return [_pair(photo, by_name, scores, what) if isinstance(photo, Path) else photo for photo in photos]


def _pair(photo: Path, by_name: dict[str, list[Path]], folder: Path, what: str) -> Pair | InputError:
    match by_name.get(photo.stem, []):
        case []:
            endings = ", ".join(sorted(SCORE_SUFFIXES))
            return InputError(f"{photo}: no {what} {photo.stem}.* in {folder}; expected one of {endings}")
        case [found]:
            return photo, found
        case several:
            return InputError(
                f"{photo}: several files of {what}, {', '.join(path.name for path in several)} in {folder}; keep one"
            )


def plan_jobs(
    pairs: Sequence[Pair | DeepLabError],
    output: Path,
    *,
    depths: Sequence[Pair | DeepLabError] | None = None,
    overlay: bool = False,
    probabilities: Path | None = None,
    overwrite: bool = False,
) -> list[Job | DeepLabError]:
    """Decide where each photo's results go; what may not be written becomes an OutputError in that photo's place.

    Args:
        pairs: what `pair_scores` returned.
        depths: the same for the photos' depth; None: there is none.
        output: where label maps go: a folder, for NAME.png, or a file.
        overlay: whether NAME_overlay.jpg is written beside the label map.
        probabilities: where probabilities go: a folder, for NAME.npy, or a file.
        overwrite: replace existing files; never a photo or scores, and never another photo's result.
    """
    given = [*pairs, *(depths or ())]
    taken = {os.path.realpath(path) for pair in given if isinstance(pair, tuple) for path in pair}

    def plan(pair: Pair | DeepLabError, deep: Pair | DeepLabError | None) -> Job | DeepLabError:
        if isinstance(pair, DeepLabError):
            return pair
        if isinstance(deep, DeepLabError):
            return deep
        photo, scores = pair
        label_map = _target(output, photo, ".png")
        job = Job(
            photo,
            scores,
            label_map,
            label_map.with_name(f"{label_map.stem}_overlay.jpg") if overlay else None,
            None if probabilities is None else _target(probabilities, photo, ".npy"),
            None if deep is None else deep[1],
        )
        for path in job.outputs:
            if os.path.realpath(path) in taken:
                return OutputError(
                    f"{photo}: its result {path} would replace a photo, scores or another result; choose another (-o)"
                )
        try:
            check_suffix(job.label_map, LABEL_SUFFIXES, "labels")
            if job.probabilities is not None:
                check_suffix(job.probabilities, PROBABILITY_SUFFIXES, "probabilities")
            job.check_outputs(overwrite=overwrite)
        except OutputError as error:
            return error
        taken.update(map(os.path.realpath, job.outputs))
        return job

    return [plan(*both) for both in zip(pairs, depths or repeat(None, len(pairs)), strict=True)]


def _target(where: Path, photo: Path, suffix: str) -> Path:
    return where / f"{photo.stem}{suffix}" if is_folder(where) else where
