"""The front door: photos in, label maps, overlays and a manifest out, by one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from deeplab.batch.jobs import Job, Outcome, finish, plan_jobs
from deeplab.batch.manifest import Manifest, Origin
from deeplab.batch.photos import MANIFEST_NAME
from deeplab.batch.remote import find_anywhere
from deeplab.batch.results import Result, Settings, segment_photo
from deeplab.batch.workers import in_order
from deeplab.checks import thread_count
from deeplab.errors import DeepLabError, InputError
from deeplab.files import is_folder, make_output
from deeplab.models import ModelInfo
from deeplab.progress import Say, Show
from deeplab.segment import Segmenter


class SegmentedPhotos(NamedTuple):
    """What became of all photos.

    Attributes:
        outcomes: of each that was worked on or failed, in the order they were ready.
        done: how many had their results already.
        model: what the model says about itself.
    """

    outcomes: list[Outcome]
    done: int
    model: ModelInfo

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes of photos that failed."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]


def segment_photos(
    photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
    *,
    crf_params: Mapping[str, float] | None = None,
    overlay: bool = True,
    manifest: bool | str | os.PathLike[str] = True,
    overwrite: bool = False,
    cluster: bool | str = False,
    threads: int | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
    say: Say = lambda line: None,
    show: Show = lambda stage, done, total, facts: None,
) -> SegmentedPhotos:
    """Segment photos on all cores and write NAME.png (labels), NAME_overlay.jpg and a line of the manifest for each.

    What a manifest there says is done already is skipped; a file that neither it nor a seal of the same photo knows is
    replaced with `overwrite` only, a photo never. A photo that fails does not stop the others: its outcome says why. A
    photo's results are written whole or not at all, so a run that was stopped goes on when called again.

    >>> photos = segment_photos(["examples/*.jpg", "missing.jpg"], "results")
    >>> for outcome in photos.outcomes:
    ...     print(outcome.photo, [file.name for file in outcome.files] or "failed")
    examples/astronaut.jpg ['astronaut.png', 'astronaut_overlay.jpg']
    examples/cat.jpg ['cat.png', 'cat_overlay.jpg']
    examples/coffee.jpg ['coffee.png', 'coffee_overlay.jpg']
    missing.jpg failed
    >>> segment_photos(["examples/*.jpg"], "results").done
    3

    Args:
        photos: files, folders, globs, and addresses such as ``s3://bucket/photos``; or one of these.
        output: the folder for the results, made if it is missing; or, for one photo, its label map's name, FILE.png.
        model: as `Segmenter.from_pretrained` takes it.
        settings: how photos are segmented.
        crf_params: those of `CRFParams` that are not to be as the settings, or the model, have them, by name.
        overlay: whether overlays are written.
        manifest: True: ``manifest.jsonl`` in the folder, which a single photo adds to but does not begin; False: none;
            or another file.
        overwrite: do everything again, and replace existing results.
        cluster: work on Ray, at this address; True: RAY_ADDRESS, or this machine's cores.
        threads: so many photos at a time; None: as many as DEEPLAB_THREADS says, or one per core.
        report: takes each outcome, as it is ready.
        say: takes a line for each folder with files that are not taken, and how many photos are done already.
        show: takes the progress.

    Raises:
        InputError: an option is unusable, a single file is to hold several photos' results, or the manifest is none.
        ModelError: there is no such model, or it does not fit.
        OutputError: the folder or the manifest cannot be written, or another run is writing it.
        ModuleNotFoundError: Ray, or what reads an address, is not installed.
    """
    several = [photos] if isinstance(photos, str | os.PathLike) else photos
    arguments, output = [os.fspath(photo) for photo in several], Path(output)
    found = list(find_anywhere(arguments, say))
    folder, stem = make_output(output, len(found), is_file=output.suffix == ".png" and not is_folder(output))
    cores = thread_count(threads)
    workers = max(1, min(cores, len(found)))
    segmenter = Segmenter.from_pretrained(model, threads=threads if workers == 1 else cores // workers)
    settings = _changed(settings, crf_params or {}, segmenter)
    origin = Origin(segmenter.info.name, segmenter.network.sha256, settings)
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        report(outcome)

    alone = found == [Path(arguments[0])] if arguments else False
    with Manifest(_manifest_path(manifest, folder, alone=alone), folder, origin) as known:
        plan = plan_jobs(found, folder, known, stem=stem, overlay=overlay, overwrite=overwrite, show=show)
        if plan.done:
            say(f"{plan.done} of {len(found)} photos are done already; --force does them again")
        for item in plan.jobs:
            if isinstance(item, Outcome):
                tell(item)
        jobs = [item for item in plan.jobs if isinstance(item, Job)]
        for job, made in _worked(jobs, segmenter, settings, workers, cluster, threads):
            tell(_written(job, made, known))
            show("segmenting", len(outcomes), len(plan.jobs), "")
    return SegmentedPhotos(outcomes, plan.done, segmenter.info)


def _worked(
    jobs: Sequence[Job],
    segmenter: Segmenter,
    settings: Settings,
    workers: int,
    cluster: bool | str,
    threads: int | None,
) -> Iterator[tuple[Job, Result | DeepLabError]]:
    """Yield every job with its result, several photos at a time, here or on a cluster."""

    def work(job: Job) -> Result:
        return segment_photo(segmenter, job.photo, settings, overlay=job.overlay is not None)

    if not cluster:
        return in_order(work, jobs, workers)
    from deeplab.batch.cluster import on_cluster  # here, because Ray is large and optional

    address = cluster if isinstance(cluster, str) else None
    return on_cluster(jobs, segmenter.network.path, settings, address=address, workers=threads)


def _written(job: Job, made: Result | DeepLabError, manifest: Manifest) -> Outcome:
    """Write a photo's results, and return what became of it."""
    try:
        result = finish(job, made, manifest)
    except DeepLabError as error:
        return Outcome(job.photo, error=error)
    return Outcome(job.photo, job.outputs, replace(result, label_map=b"", overlay=None))


def _changed(settings: Settings, params: Mapping[str, float], segmenter: Segmenter) -> Settings:
    """Return the settings with some of the CRF's parameters changed."""
    if not params:
        return settings
    if not settings.crf:
        raise InputError("crf_params are for the CRF, which the settings leave out; give one of the two")
    crf = segmenter.info.crf if settings.crf is True else settings.crf
    return replace(settings, crf=crf.changed(params))


def _manifest_path(asked: bool | str | os.PathLike[str], folder: Path, *, alone: bool) -> Path | None:
    """Return where the manifest is; None for none. A single photo adds to one that is there, but begins none."""
    if not isinstance(asked, bool):
        return Path(asked)
    path = folder / MANIFEST_NAME
    return path if asked and (path.exists() or not alone) else None
