"""Jobs of a batch: where each photo's results go, which are there already, and never one over another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deeplab.batch.manifest import MAKER, Manifest, Version, version_of
from deeplab.batch.photos import result_names
from deeplab.batch.remote import RemotePhoto
from deeplab.batch.results import Result
from deeplab.errors import DeepLabError, OutputError
from deeplab.files import atomic_files, check_output
from deeplab.progress import Show
from deeplab.seals import sealed


@dataclass(frozen=True)
class Job:
    """One photo and the files it becomes.

    Attributes:
        photo: the photo.
        label_map: where its label map goes, ``NAME.png``.
        overlay: where its overlay goes, ``NAME_overlay.jpg``, or None for no overlay.
        version: the photo's, before it is read.
    """

    photo: Path | RemotePhoto
    label_map: Path
    overlay: Path | None
    version: Version | None = None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files to write."""
        return (self.label_map,) if self.overlay is None else (self.label_map, self.overlay)


class Outcome(NamedTuple):
    """What became of one photo.

    Attributes:
        photo: the photo; None where an argument stands for none.
        files: what was written: the label map, and the overlay; none where it failed.
        result: what was found, without the files' content; None where it failed.
        error: why it failed, or None.
    """

    photo: Path | RemotePhoto | None
    files: tuple[Path, ...] = ()
    result: Result | None = None
    error: DeepLabError | None = None


class Plan(NamedTuple):
    """What `plan_jobs` decided.

    Attributes:
        jobs: the photos to segment; in the place of one that may not be, its outcome, which says why.
        done: how many photos have their results already.
    """

    jobs: list[Job | Outcome]
    done: int


def plan_jobs(
    found: Iterable[Path | RemotePhoto | DeepLabError],
    folder: Path,
    manifest: Manifest,
    *,
    stem: str | None = None,
    overlay: bool = True,
    overwrite: bool = False,
    show: Show | None = None,
) -> Plan:
    """Decide where each photo's results go; what may not be written becomes an outcome in that photo's place.

    A photo whose results stand in the folder as the manifest says, made from the photo as it is now by the same model
    and settings, is done. Other results that the manifest knows, or the seal, are replaced; other files never are.

    Args:
        found: what `deeplab.batch.remote.find_anywhere` yields; an error becomes an outcome.
        folder: where the results go.
        manifest: what was done before.
        stem: what the results of a single photo are called, but for their endings; None: as the photo.
        overlay: whether overlays are written.
        overwrite: do everything again and replace existing files; never a photo, never another photo's result of this
            plan.
        show: takes the progress.
    """
    found = list(found)
    photos = {os.path.realpath(photo) for photo in found if isinstance(photo, Path)}
    owner: dict[Path, Path | RemotePhoto] = {}

    def plan(photo: Path | RemotePhoto) -> Job | None:
        label_map, overlay_path = (folder / name for name in result_names(stem or photo.stem))
        job = Job(photo, label_map, overlay_path if overlay else None, version_of(photo))
        for output in job.outputs:
            if os.path.realpath(output) in photos:
                raise OutputError(f"{photo}: its result would replace the photo {output}; choose a folder with -o")
            if output in owner:
                raise OutputError(
                    f"{photo}: its result {output} is already that of {owner[output]}; "
                    "segment the two into separate folders with -o"
                )
        owner.update(dict.fromkeys(job.outputs, photo))
        if not overwrite:
            if manifest.is_done(job.version, job.outputs):
                return None
            manifest.check_replaceable(photo, job.version, job.outputs)
        for output in job.outputs:
            check_output(output, overwrite=True)
        return job

    jobs: list[Job | Outcome] = []
    for number, item in enumerate(found, start=1):
        planned: Job | Outcome | None
        if isinstance(item, DeepLabError):
            planned = Outcome(None, error=item)
        else:
            try:
                planned = plan(item)
            except OutputError as error:
                planned = Outcome(item, error=error)
        if planned is not None:
            jobs.append(planned)
        if show is not None:
            show("looking for what is done", number, len(found), "")
    return Plan(jobs, len(found) - len(jobs))


def finish(job: Job, outcome: Result | DeepLabError, manifest: Manifest) -> Result:
    """Write a photo's line of the manifest, then its results, all of them or none; return them.

    Raises:
        DeepLabError: the outcome, where it is an error, which gets its line too.
        OutputError: a result cannot be written; then neither is.
    """
    try:
        if isinstance(outcome, DeepLabError):
            raise outcome
        contents = dict(zip(job.outputs, filter(None, (outcome.label_map, outcome.overlay)), strict=True))
        contents = {output: sealed(content, MAKER, job.photo) for output, content in contents.items()}
        hashes = {output.name: hashlib.sha256(content).hexdigest() for output, content in contents.items()}
        manifest.add(job.photo, job.version, hashes, outcome.facts() | {"error": None})
        with atomic_files(*contents, overwrite=True) as files:
            for file, content in zip(files, contents.values(), strict=True):
                file.write(content)
    except DeepLabError as error:
        manifest.add_error(job.photo, job.version, job.outputs, error)
        raise
    return outcome
