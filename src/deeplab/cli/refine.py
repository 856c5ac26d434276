"""``deeplab refine``: any model's scores or label maps in, sharper label maps out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.assumptions import Assumptions
from deeplab.cli.options import (
    BandsOption,
    RangeOption,
    ThreadsOption,
    bands_in,
    crf_options,
    percent,
    range_in,
    read_label_set,
    run_jobs,
)
from deeplab.cli.streams import STREAM, names_file, streams
from deeplab.crf.params import CRFParams
from deeplab.errors import InputError
from deeplab.files import is_folder, make_output
from deeplab.progress import Reporter, reporter

if TYPE_CHECKING:
    from deeplab.refinement import Refinement


@crf_options("iterations", **CRFParams().to_dict())
def refine(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A photo, folder, glob, address, or - for stdin.")],
    scores: Annotated[
        Path,
        typer.Option(
            metavar="FILE|DIR",
            help="Scores (.npy, .npz) or a label map, or - for stdin; a folder of them by photo name.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE|DIR", help="The label map (.png, .npy; - for stdout), or a folder for it."
        ),
    ] = Path(),
    key: Annotated[str | None, typer.Option(metavar="NAME", help="Which array of an .npz of several.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="probabilities, log-probabilities, logits or labels.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(metavar="ORDER", help="LHW (channels first), HWL, HW; or width first: LWH, WHL, WH.")
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(metavar="WHERE", help="centres (align_corners=False) or corners (True) of smaller scores."),
    ] = None,
    stretch: Annotated[
        bool, typer.Option("--stretch", help="The model saw the whole photo, squeezed into other proportions.")
    ] = False,
    void: Annotated[int | None, typer.Option(help="The value in a label map that means no opinion: 255.")] = None,
    confidence: Annotated[float, typer.Option(help="How likely a label map is right at a pixel.")] = 0.7,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="voc|camvid|FILE", help="Names and colours: names one a line, JSON, or CVAT's labelmap.txt."
        ),
    ] = None,
    value_range: RangeOption = None,
    bands: BandsOption = None,
    depth: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="The photo's depth or disparity (16-bit PNG, .npy); a folder of them."),
    ] = None,
    depth_std: Annotated[
        float | None, typer.Option(help="How far apart in depth pixels still speak to each other, in scaled units.")
    ] = None,
    depth_scale: Annotated[float, typer.Option(help="What one step of the file's values is: 0.001 for mm as m.")] = 1.0,
    depth_unknown: Annotated[float, typer.Option(help="The file's value where the depth is unknown.")] = 0.0,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also write the photo tinted by label.")] = False,
    save_probabilities: Annotated[
        Path | None, typer.Option(metavar="FILE|DIR", help="Also write the refined probabilities (.npy, .npz).")
    ] = None,
    iterations: Annotated[int, typer.Option(help="Mean field updates.")] = 10,
    normalization: Annotated[str, typer.Option(metavar="MODE", help="after, symmetric, before or none.")] = "after",
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    threads: ThreadsOption = None,
    *,
    params: dict[str, float],
) -> None:
    """Sharpen any model's scores or label map along a photo's edges, by the fully connected CRF.

    What the scores are is found out and shown; options decide where it cannot be. The result, NAME.png in the current
    folder or what -o names, is a label map of the photo's size. Photos and scores are never replaced, files other than
    its own pictures of the same photo with --force only. Where one photo of a folder fails, the others go on; the exit
    status is then 1.

    Examples:
        deeplab refine cat.jpg --scores cat.npy -o sharper.png
        deeplab refine photos --scores logits -o masks --labels classes.txt
        deeplab refine cat.jpg --scores rough.png --confidence 0.9
    """
    from deeplab.batch.photos import find_photos
    from deeplab.crf import CRFSettings
    from deeplab.images import read_photo
    from deeplab.refinement import load_scores, refine_scores
    from deeplab.refinement.depth_files import load_depth
    from deeplab.refinement.jobs import Job, pair_scores, plan_jobs

    crf = CRFSettings(CRFParams.from_dict(params), iterations, normalization)
    label_set = None if labels is None else read_label_set(labels)
    if void is None and label_set is not None and label_set.void != 255:  # masks of 0 and 255 keep their meaning
        void = label_set.void
    if str(output) == STREAM and overlay:
        raise InputError("standard output takes one file, the label map; name a file with -o to have the overlay too")
    if (depth is None) != (depth_std is None):
        raise InputError(
            "--depth and --depth-std go together: the file, and how far apart in depth pixels still speak to each "
            "other, such as 2 pixels of disparity or 0.3 m"
        )
    read = partial(read_photo, value_range=range_in(value_range), bands=bands_in(bands))
    assumptions = Assumptions()
    with streams([photo, str(scores)], output, fetch=True) as given:
        place = Path(given.inputs[1])
        with reporter() as out:  # scores beside photos are no photos left out
            tell = None if is_folder(place) and Path(photo).resolve() == place.resolve() else given.named(out).say
            pairs = pair_scores(find_photos(given.inputs[:1], tell), place)
        for target in (given.output, save_probabilities) if is_folder(place) else ():
            if target is not None:
                make_output(target, len(pairs), is_file=names_file(target))
        photos = [pair[0] if isinstance(pair, tuple) else pair for pair in pairs]
        plan = plan_jobs(
            pairs, given.output, depths=None if depth is None else pair_scores(photos, depth, "depths"),
            overlay=overlay, probabilities=save_probabilities, overwrite=force,
        )  # fmt: skip

        def run(job: Job, out: Reporter) -> None:
            try:
                reading = read(job.photo)
                assumptions.add(job.photo, reading.notes, reading.value_range, out.say)
                deep = None
                if job.depth is not None and depth_std is not None:
                    deep = load_depth(job.depth, std=depth_std, scale=depth_scale, unknown=depth_unknown)
                result = refine_scores(
                    reading.pixels, load_scores(job.scores, key=key, label_set=label_set), crf, label_set=label_set,
                    kind=kind, axes=axes, align=align, stretch=stretch, void=void, confidence=confidence, depth=deep,
                    threads=threads, tell=lambda understanding: out.say(f"{job.scores}: {understanding}"),
                )  # fmt: skip
            except MemoryError as error:
                raise InputError(
                    f"{job.photo} with {job.scores} does not fit in memory; shrink both: {error}"
                ) from None
            job.write(result, overwrite=force)
            out.result(f"{job.photo} → {', '.join(map(str, job.outputs))}: {_report(result)}")

        errors = run_jobs("refining", plan, run, given.named)
        with reporter() as out:
            assumptions.sum_up(given.named(out).say)
    if errors:
        raise typer.Exit(1)


def _report(result: Refinement) -> str:
    names = result.label_set.names if result.label_set else ()
    shares = ", ".join(
        f"{names[label] if names else label} {percent(after)} (was {percent(before)})"
        for label, (before, after) in result.shares().items()
    )
    filled = f", {percent(result.filled)} had no label" if result.filled else ""
    return f"{percent(result.changed)} of the pixels changed{filled}; {shares}"
