"""``deeplab evaluate``: scores on labelled photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.manners import JsonOption, json_output
from deeplab.cli.options import CrowdsOption, ModelOption, NamesOption, ReaderOption, ThreadsOption
from deeplab.cli.scoring import SkipOption, sound_samples, stored_scores, write_text
from deeplab.progress import reporter

if TYPE_CHECKING:
    from deeplab.data.samples import Sample


def evaluate(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data set's folder.")],
    split: Annotated[str, typer.Option(help="Which part of it, e.g. val.")] = "val",
    reader: ReaderOption = "auto",
    names: NamesOption = None,
    crowds: CrowdsOption = "auto",
    model: ModelOption = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the network's scores are kept; next time it need not run.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Count the label maps in this folder; no model is run.")
    ] = None,
    numbers: Annotated[
        str | None,
        typer.Option(metavar="labels|masks", help="What their numbers are: labels, or the masks' own values."),
    ] = None,
    crf: Annotated[bool, typer.Option(help="Also evaluate with the fully connected CRF.")] = True,
    crf_settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML with the CRF's settings, as `deeplab crf-search` writes it."),
    ] = None,
    classes: Annotated[str, typer.Option(metavar="A,B,…", help="Also give the mean IoU over these classes.")] = "",
    trimap: Annotated[
        str | None,
        typer.Option(metavar="void|classes", help="Also measure in bands around void outlines, or between classes."),
    ] = None,
    boundary_f1: Annotated[bool, typer.Option("--boundary-f1", help="Also compare contours.")] = False,
    resamples: Annotated[
        int, typer.Option(min=0, help="Sets of photos that the intervals come from; 0 for no intervals.")
    ] = 1000,
    as_json: JsonOption = False,
    confusion_file: Annotated[
        Path | None, typer.Option("--confusion", metavar="FILE", help="Also write the confusion matrices here, as CSV.")
    ] = None,
    skip_broken: SkipOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another model's scores, and FILE.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Evaluate on labelled photos by the VOC protocol: IoU of every class, mean IoU, pixel and class accuracy.

    Every mean and every gain stands with its 95 % interval. The network's scores are stored first, in the folder that
    --scores names, and everything else works from those.

    Examples:
        deeplab evaluate --data data/voc2012 --split val --scores scores
        deeplab evaluate --data mine --predictions masks --boundary-f1
        deeplab evaluate --data camvid --model camvid-largefov --json > figures.json
    """
    from deeplab.checks import check_choice, thread_count
    from deeplab.data.readers import read_samples
    from deeplab.evaluation import tables
    from deeplab.evaluation.evaluate import Extras, evaluate_predictions, evaluate_scores
    from deeplab.evaluation.trimap import AROUND
    from deeplab.files import check_output

    with json_output("evaluate", asked=as_json) as document:
        if confusion_file is not None:
            check_output(confusion_file, overwrite=force)
        if trimap is not None:
            check_choice(trimap, AROUND, "--trimap")
        settings = None
        if crf_settings is not None:
            from deeplab.crf import CRFSettings
            from deeplab.models.card_files import load_card

            settings = load_card(crf_settings).crf or CRFSettings()
        named = tuple(name.strip() for name in classes.split(",") if name.strip())
        extras, cores = Extras(trimap, boundary_f1), thread_count(threads)
        with reporter() as out:
            samples: Sequence[Sample] = read_samples(reader, data, split, names=names, crowds=crowds, tell=out.say)
            samples[0].label_set.labels_of(named)  # an unknown name is better said now than at the end
            samples = sound_samples(out, samples) if skip_broken else samples
            if predictions is not None:
                evaluation = evaluate_predictions(
                    samples, predictions, numbers=numbers, extras=extras, threads=cores, show=out.show
                )
            else:
                with stored_scores(out, samples, scores, model, threads=threads, force=force) as stored:
                    evaluation = evaluate_scores(
                        samples, stored, crf=(settings or stored.info.crf) if crf else None,
                        extras=extras, threads=cores, show=out.show,
                    )  # fmt: skip
            out.result(tables.format_table(evaluation, named, resamples=resamples))
            if trimap is not None:
                out.result(f"\n{tables.format_trimap(evaluation, resamples=resamples)}")
        if confusion_file is not None:
            write_text(confusion_file, tables.confusion_csv(evaluation), overwrite=force)
        if as_json:
            document["result"] = tables.to_json(evaluation, named, resamples=resamples)
