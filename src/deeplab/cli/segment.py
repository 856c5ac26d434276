"""``deeplab segment``: photos in, label maps out; videos in, videos or label maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deeplab.cli.assumptions import Assumptions
from deeplab.cli.manners import JsonOption, json_output
from deeplab.cli.options import (
    BandsOption,
    ModelOption,
    RangeOption,
    ThreadsOption,
    bands_in,
    crf_options,
    extra,
    percent,
    range_in,
    run_jobs,
)
from deeplab.cli.streams import STREAM, Streams, names_file, streams
from deeplab.crf.params import CRFParams
from deeplab.errors import DeepLabError, ImageError, InputError, OutputError
from deeplab.files import make_folder
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.batch import Outcome, SegmentedPhotos, Settings
    from deeplab.models import ModelInfo

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

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
    cut_threshold: Annotated[
        float,
        typer.Option(help="How strong a change is a video's scene cut, which the CRF does not span; 1: none."),
    ] = 0.4,
    side: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="The longest side at which a video's frames are segmented.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Work on Ray: RAY_ADDRESS, or this machine's cores.")] = False,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Work on the Ray cluster at this address.")
    ] = None,
    as_json: JsonOption = False,
    force: Annotated[bool, typer.Option("--force", help="Do everything again, replacing whatever is there.")] = False,
    threads: ThreadsOption = None,
    *,
    params: dict[str, float],
) -> None:
    """Segment photos: write NAME.png (labels) and NAME_overlay.jpg, and print the classes found.

    Results go to the current folder, or to the one that -o names. What a manifest there says is done already is
    skipped; files that are not its own results of the same photo are replaced with --force only, a photo never. A photo
    that fails is reported and the others go on; the exit status is then 1. A video becomes NAME_overlay.mp4 or a folder
    of label maps.

    The CRF's parameters are the model's own where not given; pixels are those of the photo as the network sees it.

    Examples:
        deeplab segment cat.jpg                          cat.png and cat_overlay.jpg
        deeplab segment photos -o results                a folder; again: goes on
        deeplab segment photos -o results --json         what was found, for programs
        deeplab segment clip.mp4 -o results --side 480   a video
    """
    from deeplab.batch import Settings
    from deeplab.video import VIDEO_SUFFIXES

    with json_output("segment", asked=as_json) as document:
        if params and not crf:
            option = f"--{next(iter(params)).replace('_', '-')}"
            raise InputError(f"{option} is for the CRF, which --no-crf leaves out; give one of the two")
        if as_json and str(output) == STREAM:
            raise InputError("--json and -o - both want standard output; name a file or folder with -o")
        CRFParams.from_dict(params)  # says what is out of range before anything is made
        settings = Settings(crf, min_confidence, quality, range_in(value_range), bands_in(bands))
        videos = [photo for photo in photos if Path(photo).suffix.lower() in VIDEO_SUFFIXES]
        if videos and (names_file(output) or str(output) == STREAM):
            raise InputError(f"{output} is no folder, but a video's results need one; name it with -o")
        if videos and quality != "fast":
            raise InputError(f"--quality {quality} is for photos, but {videos[0]} is a video; leave it out")
        stills = [photo for photo in photos if photo not in videos]
        found = document["result"] = {"model": None, "done": 0, "photos": [], "videos": []}
        if stills:
            if STREAM in (*stills, str(output)) and manifest is None:
                manifest = NO_MANIFEST
            with streams(stills, output) as through:
                photos_found = _segment_photos(
                    through, settings, params, manifest,
                    model=model, cluster=ray_address or ray, overlay=overlay and not through.to_stdout,
                    overwrite=force, threads=threads,
                )  # fmt: skip
            found |= {"model": photos_found.model.name, "done": photos_found.done}
            found["photos"] = [_photo_as_json(outcome, through) for outcome in photos_found.outcomes]
            document["errors"] += [each["error"] for each in found["photos"] if each["error"]]
        if videos:
            make_folder(output)
            found["model"], found["videos"], errors = _segment_videos(
                videos, output, model, params,
                crf=crf, kind=video, span=span, every=every, cut_threshold=cut_threshold, side=side, force=force,
                threads=threads,
            )  # fmt: skip
            document["errors"] += map(str, errors)
        if document["errors"]:
            raise typer.Exit(1)


def _segment_photos(
    given: Streams, settings: Settings, params: dict[str, float], manifest: str | None, **options: Any
) -> SegmentedPhotos:
    """Segment photos, several at a time, here or on a cluster."""
    from deeplab.batch import segment_photos
    from deeplab.batch.workers import end_if_busy

    if names_file(given.output) and given.output.suffix != ".png":
        raise OutputError(f"{given.output}: label maps are written as PNG; let the name end in .png, or name a folder")
    assumptions = Assumptions()
    try:
        with extra("ray"), reporter() as plain:
            out = given.named(plain)

            def report(outcome: Outcome) -> None:
                if outcome.error is not None:
                    out.error(outcome.error)
                if outcome.result is None:
                    return
                assumptions.add(outcome.photo, outcome.result.notes, outcome.result.value_range, out.say)
                files = ", ".join(map(str, outcome.files))
                out.result(f"{outcome.photo} → {files}: {_in_words(outcome.result.classes)}")

            photos = segment_photos(
                given.inputs, given.output, settings=settings, crf_params=params,
                manifest=manifest is None if manifest in (None, NO_MANIFEST) else manifest,
                report=report, say=out.say, show=out.show, **options,
            )  # fmt: skip
            assumptions.sum_up(out.say)
            shares = [(str(outcome.photo), outcome.result.classes) for outcome in photos.outcomes if outcome.result]
            _say_nothing(out, shares, len(photos.outcomes) + photos.done, photos.model)
    except KeyboardInterrupt:
        end_if_busy(INTERRUPTED)
        raise
    return photos


def _photo_as_json(outcome: Outcome, given: Streams) -> dict[str, Any]:
    """Return what became of a photo, as a manifest's line says it."""
    name = given.called
    return {
        "file": None if outcome.photo is None else name(str(outcome.photo)),
        "outputs": [name(str(file)) for file in outcome.files],
        **(outcome.result.facts() if outcome.result else {}),
        "error": None if outcome.error is None else name(str(outcome.error)),
    }


def _segment_videos(
    videos: Sequence[str],
    output: Path,
    model: str | None,
    params: dict[str, float],
    *,
    crf: bool,
    kind: str,
    span: int | None,
    every: int,
    cut_threshold: float,
    side: int | None,
    force: bool,
    threads: int | None,
) -> tuple[str, list[dict[str, Any]], list[DeepLabError]]:
    """Segment videos one after the other; return the model's name, what was found, and what went wrong."""
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
    refine = segmenter.info.crf.changed(params) if params else crf

    def run(video: str, out: Reporter) -> None:
        try:
            result = segment_video(
                video, output, segmenter,
                kind=kind, span=span or SPAN_FRAMES, every=every, cut_threshold=cut_threshold,
                side_px=side, crf=refine, overwrite=force, show=out.show,
            )  # fmt: skip
        except MemoryError:
            raise ImageError(f"{video}: a window of frames does not fit in memory; give a smaller --span") from None
        if result.cuts:
            out.say(f"{video}: {len(result.cuts)} scene cut{'s' if len(result.cuts) > 1 else ''}, at frame "
                    f"{', '.join(str(frame + 1) for frame in result.cuts[:MOST_NAMED])}"
                    f"{', …' if len(result.cuts) > MOST_NAMED else ''}")  # fmt: skip
        for note in result.notes:
            out.say(f"{video}: {note}")
        out.result(f"{video} → {result.output}: {_in_words(result.shares)}")
        found.append({"file": video, "output": str(result.output), "classes": result.shares})

    found: list[dict[str, Any]] = []
    errors = run_jobs("segmenting", plan, run)
    with reporter() as out:
        _say_nothing(out, [(each["file"], each["classes"]) for each in found], len(videos), segmenter.info)
    return segmenter.info.name, found, errors


def _say_nothing(out: Reporter, found: Sequence[tuple[str, dict[str, float]]], count: int, info: ModelInfo) -> None:
    """Say once in which files nothing but background and void was found, and what could have been."""
    known = [name for label, name in enumerate(info.label_set.names) if label != info.label_set.background]
    nothing = [name for name, shares in found if not shares.keys() & set(known)]
    if nothing:
        first = ", ".join(nothing[:MOST_NAMED]) + (", …" if len(nothing) > MOST_NAMED else "")
        where = first if count == 1 else f"{len(nothing)} of {count} ({first})"
        out.say(f"nothing found in {where}; {info.name} knows {', '.join(known)}")


def _in_words(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
