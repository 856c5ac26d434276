"""``deeplab evaluate``: scores on labelled photos."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption
from deeplab.progress import Reporter, reporter

__all__ = ["evaluate"]


def evaluate(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data set's folder.")],
    split: Annotated[str, typer.Option(help="Which part of it, e.g. val.")] = "val",
    reader: Annotated[str, typer.Option(metavar="LAYOUT", help="Its layout: voc, camvid, folder or msrc.")] = "voc",
    model: ModelOption = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the network's scores are kept; next time it need not run.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Count the label maps in this folder; no model is run.")
    ] = None,
    crf: Annotated[bool, typer.Option(help="Also evaluate with the fully connected CRF.")] = True,
    classes: Annotated[str, typer.Option(metavar="A,B,…", help="Also give the mean IoU over these classes.")] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another model's scores, and FILE.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Evaluate on labelled photos by the VOC protocol: IoU of every class, mean IoU, pixel and class accuracy.

    The network's scores are stored first, in the folder that --scores names, and everything else works from those.
    """
    from deeplab.crf.checks import thread_count
    from deeplab.data.readers import read_samples
    from deeplab.evaluation.confusion import Confusion
    from deeplab.evaluation.evaluate import evaluate_predictions, evaluate_scores, format_table, to_json
    from deeplab.evaluation.stored_scores import file_sha256, store_scores
    from deeplab.files import atomic_file, check_output
    from deeplab.models import find_model
    from deeplab.runtime import ScoreNetwork
    from deeplab.segment import shrink_for_network

    if json_file is not None:
        check_output(json_file, overwrite=force)
    samples = read_samples(reader, data, split)
    named = tuple(name.strip() for name in classes.split(",") if name.strip())
    Confusion.empty(samples[0].label_set).mean_iou_over(named)  # an unknown name is better said now than at the end
    with reporter() as out:
        progress = partial(_show, out, "evaluating")
        if predictions is not None:
            evaluation = evaluate_predictions(samples, predictions, progress=progress)
        else:
            path = find_model(model)
            network = ScoreNetwork(path, threads=threads)
            with nullcontext(scores) if scores is not None else TemporaryDirectory() as folder:
                stored = store_scores(
                    samples, Path(folder), network.scores, network.info, file_sha256(path),
                    shrink=shrink_for_network, force=force, progress=partial(_show, out, "scoring"),
                )  # fmt: skip
                settings = network.info.crf if crf else None
                cores = thread_count(threads)
                evaluation = evaluate_scores(samples, stored, crf=settings, threads=cores, progress=progress)
    print(format_table(evaluation, named))
    if json_file is not None:
        with atomic_file(json_file, overwrite=force) as file:
            file.write(json.dumps(to_json(evaluation, named), indent=1).encode())


def _show(out: Reporter, stage: str, done: int, total: int) -> None:
    out.show(stage, done, total, "")
