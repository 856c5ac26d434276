"""``deeplab segment``: photos in, label maps out; videos in, videos or label maps out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.assumptions import Assumptions
from deeplab.cli.options import (
    BandsOption,
    ModelOption,
    RangeOption,
    ThreadsOption,
    bands_in,
    crf_options,
    extra,
    make_folder,
    percent,
    range_in,
    run_jobs,
)
from deeplab.cli.streams import STREAM, Streams, make_output, names_file, streams
from deeplab.crf.params import CRFParams
from deeplab.errors import DeepLabError, ImageError, InputError, OutputError
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.batch import Job, Result, Settings
    from deeplab.crf import CRFSettings
    from deeplab.labels import LabelSet
    from deeplab.segment import Segmenter

__all__ = ["segment"]

NO_MANIFEST = "none"
MOST_NAMED = 3


@crf_options("quality")
def segment(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO…", help="Photos, folders, globs, addresses (https://…, s3://…), videos, or - for stdin."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|FILE",
            help="Folder for the results, made if missing; or one photo's label map, FILE.png or - for stdout.",
        ),
    ] = Path(),
    model: ModelOption = None,
    crf: Annotated[bool, typer.Option(help="Refine by the fully connected CRF.")] = True,
    quality: Annotated[
        str,
        typer.Option(metavar="fast|best", help="How photos are scored; best is slower, and better without the CRF."),
    ] = "fast",
    overlay: Annotated[bool, typer.Option(help="Also write the photo tinted by class.")] = True,
    min_confidence: Annotated[
        float | None, typer.Option(metavar="0–1", help="Leave a photo's pixels void whose class is less probable.")
    ] = None,
    value_range: RangeOption = None,
    bands: BandsOption = None,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="FILE|none", help="One line of JSON a photo; manifest.jsonl in DIR if not given."),
    ] = None,
    video: Annotated[
        str, typer.Option(metavar="KIND", help="What a video becomes: overlay (a video) or labels (label maps).")
    ] = "overlay",
    span: Annotated[int | None, typer.Option(min=1, help="Frames of a video that the CRF spans.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Run the network on every Nth frame of a video.")] = 1,
    side: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="The longest side at which a video's frames are segmented.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Work on Ray: RAY_ADDRESS, or this machine's cores.")] = False,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Work on the Ray cluster at this address.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do everything again, replacing existing results.")] = False,
    threads: ThreadsOption = None,
    *,
    params: dict[str, float],
) -> None:
    """Segment photos: write NAME.png (labels) and NAME_overlay.jpg, and print the classes found.

    Results go to the current folder, or to the one that -o names. What a manifest there says is done already is
    skipped; a file that is not in it is replaced with --force only, a photo never. A photo that fails is reported and
    the others go on; the exit status is then 1. A video becomes NAME_overlay.mp4 or a folder of label maps.

    The CRF's parameters are the model's own where not given; pixels are those of the photo as the network sees it.
    """
    from deeplab.batch import Settings
    from deeplab.video import VIDEO_SUFFIXES

    if params and not crf:
        option = f"--{next(iter(params)).replace('_', '-')}"
        raise InputError(f"{option} is for the CRF, which --no-crf leaves out; give one of the two")
    CRFParams(**params)  # says what is out of range before anything is made
    settings = Settings(crf, min_confidence, quality, range_in(value_range), bands_in(bands))
    videos = [photo for photo in photos if Path(photo).suffix.lower() in VIDEO_SUFFIXES]
    if videos and (names_file(output) or str(output) == STREAM):
        raise InputError(f"{output} is no folder, but a video's results need one; name it with -o")
    if videos and quality != "fast":
        raise InputError(f"--quality {quality} is for photos, but {videos[0]} is a video; leave it out")
    stills = [photo for photo in photos if photo not in videos]
    well = True
    if stills:
        if STREAM in (*stills, str(output)) and manifest is None:
            manifest = NO_MANIFEST
        with streams(stills, output) as through:
            well = _segment_photos(
                through, model, settings, params, manifest, ray_address or ray,
                overlay=overlay and not through.to_stdout, force=force, threads=threads,
            )  # fmt: skip
    if videos:
        make_folder(output)
        well &= _segment_videos(
            videos, output, model, params,
            crf=crf, kind=video, span=span, every=every, side=side, force=force, threads=threads,
        )  # fmt: skip
    if not well:
        raise typer.Exit(1)


def _segment_photos(
    given: Streams,
    model: str | None,
    settings: Settings,
    changes: dict[str, float],
    manifest: str | None,
    cluster: str | bool,
    *,
    overlay: bool,
    force: bool,
    threads: int | None,
) -> bool:
    """Segment photos, several at a time, here or on a cluster; return whether all went well."""
    from deeplab import batch
    from deeplab.checks import thread_count
    from deeplab.models import read_model
    from deeplab.segment import Segmenter

    with extra("ray"), reporter() as out:
        say = given.named(out).say
        found = [
            *batch.find_photos((photo for photo in given.inputs if not batch.is_address(photo)), say),
            *batch.find_remote_photos((photo for photo in given.inputs if batch.is_address(photo)), say),
        ]
    folder, stem = _place(given.output, len(found))
    cores = thread_count(threads)
    workers = max(1, min(cores, len(found)))
    segmenter = Segmenter.from_pretrained(model, threads=threads if workers == 1 else cores // workers)
    settings = replace(settings, crf=_changed(settings.crf, changes, segmenter))
    model_file = segmenter.network.path
    origin = batch.Origin(segmenter.info.name, hashlib.sha256(read_model(model_file)).hexdigest(), settings)

    def one(job: Job) -> Result:
        return batch.segment_photo(segmenter, job.photo, settings, overlay=job.overlay is not None)

    def work(jobs: Sequence[Job]) -> Iterator[tuple[Job, Result | DeepLabError]]:
        if not cluster:
            return batch.in_order(one, jobs, workers)
        with extra("ray"):
            from deeplab.batch.cluster import on_cluster
        address = cluster if isinstance(cluster, str) else None
        return on_cluster(jobs, model_file, settings, address=address, workers=threads)

    assumptions = Assumptions()

    def run(ready: tuple[Job, Result | DeepLabError], out: Reporter) -> None:
        job, outcome = ready
        result = batch.finish(job, outcome, done)
        assumptions.add(job.photo, result.notes, result.value_range, out.say)
        out.result(f"{job.photo} → {', '.join(map(str, job.outputs))}: {_in_words(result.classes)}")
        if _is_nothing(result.classes, segmenter.info.label_set):
            nothing.append(str(job.photo))

    nothing: list[str] = []
    alone = found == [Path(given.inputs[0])]
    with batch.Manifest(_manifest_path(manifest, folder, alone=alone), folder, origin) as done:
        with reporter() as out:
            plan = batch.plan_jobs(found, folder, done, stem=stem, overlay=overlay, overwrite=force, show=out.show)
            if plan.done:
                out.say(f"{plan.done} of {len(found)} photos are done already; --force does them again")
        well = run_jobs("segmenting", plan.jobs, run, work, given.named)
    with reporter() as out:
        assumptions.sum_up(given.named(out).say)
        _say_nothing(given.named(out), nothing, len(found), segmenter)
    return well


def _place(output: Path, photos: int) -> tuple[Path, str | None]:
    """Return the folder for results, made, and what they are called, where `output` says so."""
    if not make_output(output, photos):
        return output, None
    if output.suffix != ".png":
        raise OutputError(f"{output}: label maps are written as PNG; let the name end in .png, or name a folder")
    return output.parent, output.stem


def _segment_videos(
    videos: Sequence[str],
    output: Path,
    model: str | None,
    changes: dict[str, float],
    *,
    crf: bool,
    kind: str,
    span: int | None,
    every: int,
    side: int | None,
    force: bool,
    threads: int | None,
) -> bool:
    """Segment videos one after the other; return whether all went well."""
    from deeplab.segment import Segmenter
    from deeplab.video import SPAN_FRAMES, segment_video

    first: dict[str, str] = {}
    plan = [
        video
        if first.setdefault(Path(video).stem, video) == video
        else OutputError(
            f"{video}: its result is that of {first[Path(video).stem]} too; give them a folder each with -o"
        )
        for video in videos
    ]
    segmenter = Segmenter.from_pretrained(model, threads=threads)
    refine = _changed(crf, changes, segmenter)

    def run(video: str, out: Reporter) -> None:
        try:
            result = segment_video(
                video, output, segmenter,
                kind=kind, span=span or SPAN_FRAMES, every=every, side_px=side,
                crf=refine, overwrite=force, show=out.show,
            )  # fmt: skip
        except MemoryError:
            raise ImageError(f"{video}: a window of frames does not fit in memory; give a smaller --span") from None
        for note in result.notes:
            out.say(f"{video}: {note}")
        out.result(f"{video} → {result.output}: {_in_words(result.shares)}")
        if _is_nothing(result.shares, segmenter.info.label_set):
            nothing.append(video)

    nothing: list[str] = []
    well = run_jobs("segmenting", plan, run, iter)
    with reporter() as out:
        _say_nothing(out, nothing, len(videos), segmenter)
    return well


def _is_nothing(shares: dict[str, float], label_set: LabelSet) -> bool:
    """Tell whether background and void are all that was found."""
    return all(name in label_set.names and label_set.names.index(name) == label_set.background for name in shares)


def _say_nothing(out: Reporter, nothing: Sequence[str], count: int, segmenter: Segmenter) -> None:
    """Say once where nothing was found, and what could have been."""
    if nothing:
        info = segmenter.info
        first = ", ".join(nothing[:MOST_NAMED]) + (", …" if len(nothing) > MOST_NAMED else "")
        where = first if count == 1 else f"{len(nothing)} of {count} ({first})"
        known = (name for label, name in enumerate(info.label_set.names) if label != info.label_set.background)
        out.say(f"nothing found in {where}; {info.name} knows {', '.join(known)}")


def _changed(crf: bool | CRFSettings, changes: dict[str, float], segmenter: Segmenter) -> bool | CRFSettings:
    """The model's own CRF with some of its parameters changed; as it was where none are."""
    own = segmenter.info.crf
    return replace(own, params=replace(own.params, **changes)) if changes else crf


def _in_words(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.items())


def _manifest_path(asked: str | None, folder: Path, *, alone: bool) -> Path | None:
    """Return where the manifest is; None for none. A single photo adds to one that is there, but begins none."""
    from deeplab.batch import MANIFEST_NAME

    if asked is not None:
        return None if asked == NO_MANIFEST else Path(asked)
    path = folder / MANIFEST_NAME
    return path if path.exists() or not alone else None
