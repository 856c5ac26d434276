"""``deeplab crf-search``: a network's CRF parameters from its stored scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import CrowdsOption, ModelOption, NamesOption, ReaderOption, ThreadsOption, extra
from deeplab.cli.scoring import SkipOption, sound_samples, stored_scores
from deeplab.files import make_folder
from deeplab.progress import reporter

if TYPE_CHECKING:
    from deeplab.data.samples import Sample


def crf_search(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data set's folder.")],
    split: Annotated[str, typer.Option(help="Which part of it, e.g. val.")] = "val",
    reader: ReaderOption = "auto",
    names: NamesOption = None,
    crowds: CrowdsOption = "auto",
    model: ModelOption = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Stored scores; those of the photos chosen are added if missing.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for journal, table, best settings, heat map.")
    ] = Path("crf-search"),
    photos: Annotated[int, typer.Option(min=1, help="So many photos of the split, chosen by --seed.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the choice of photos, and of the smart search's proposals.")] = 0,
    smart: Annotated[
        bool, typer.Option("--smart", help="Let Optuna propose settings: a fraction of the runs.")
    ] = False,
    proposals: Annotated[int, typer.Option(min=1, help="How many settings Optuna proposes.")] = 40,
    objective: Annotated[
        str,
        typer.Option(metavar="miou|pixels|trimap", help="What is to be best: mean IoU, pixels, or near boundaries."),
    ] = "miou",
    classes: Annotated[str, typer.Option(metavar="A,B,…", help="Take means over these classes alone.")] = "",
    trimap: Annotated[
        str, typer.Option(metavar="void|classes", help="Boundaries for the trimap: void outlines, or between classes.")
    ] = "void",
    trimap_px: Annotated[int, typer.Option(min=1, max=40, help="Width of the trimap's band.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Mean field updates.")] = 10,
    normalization: Annotated[str, typer.Option(help="How the CRF normalises messages.")] = "after",
    skip_broken: SkipOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another search's journal and results.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Search for the CRF parameters that suit a network: the paper's grid and its refinement (section 4.2).

    Everything measured is kept in the folder's trials.jsonl: a search that was stopped goes on when started again, and
    another objective, or more photos, only measures what is missing. The folder also gets trials.csv, search.json,
    best.yaml (for `deeplab evaluate --crf-settings`) and heat-map.svg.

    Examples:
        deeplab crf-search --data data/voc2012 --scores scores -o search
        deeplab evaluate --data data/voc2012 --crf-settings search/best.yaml
    """
    from deeplab.checks import check_choice, thread_count
    from deeplab.crf import CRFSettings
    from deeplab.crf_search import results
    from deeplab.crf_search.files import write_search
    from deeplab.crf_search.search import Objective, Search, choose_photos, grid_search
    from deeplab.crf_search.trials import Band, Trials
    from deeplab.data.readers import read_samples
    from deeplab.evaluation import tables
    from deeplab.evaluation.evaluate import evaluate_scores
    from deeplab.evaluation.trimap import AROUND
    from deeplab.files import alone_in

    if smart:
        with extra("search"):
            from deeplab.crf_search.smart import smart_search
    crf = CRFSettings(iterations=iterations, normalization=normalization)
    check_choice(trimap, AROUND, "--trimap")
    named = tuple(name.strip() for name in classes.split(",") if name.strip())
    cores = thread_count(threads)
    with ExitStack() as stack:
        out = stack.enter_context(reporter())
        every: Sequence[Sample] = read_samples(reader, data, split, names=names, crowds=crowds, tell=out.say)
        labels = tuple(every[0].label_set.labels_of(named)) or None
        wanted = Objective(objective, labels)
        make_folder(output)
        stack.enter_context(alone_in(output))
        samples = choose_photos(sound_samples(out, every) if skip_broken else every, photos, seed)
        stored = stack.enter_context(stored_scores(out, samples, scores, model, threads=threads, force=force))
        band = Band(trimap, trimap_px) if objective == "trimap" else None
        trials = Trials(samples, stored, output, crf=crf, band=band, threads=cores, show=out.show, force=force)
        search = Search(trials, wanted)
        best = smart_search(search, trials=proposals, seed=seed) if smart else grid_search(search)
        settings = CRFSettings(best, iterations, normalization)
        evaluation = evaluate_scores(samples, stored, crf=settings, threads=cores, show=out.show)
        written = write_search(search, output)
    lines = [*results.result_lines(search), *results.cost_lines(search)]
    files = ", ".join(map(str, written))
    print("\n".join([*lines, "", tables.format_table(evaluation, named), "", f"written: {files}"]))
