"""The ``deeplab`` command. Each command is a few lines over functions elsewhere, imported when it runs."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deeplab.errors import DeepLabError, InputError, OutputError
from deeplab.progress import Reporter, reporter

__all__ = ["app", "main"]

app = typer.Typer(
    help="Segment photos along their edges: DeepLab's network and fully connected CRF.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="A shipped model (see `deeplab models`) or an .onnx file.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads to use; all cores if not given.")]


def main() -> None:
    """Run the command line; an expected error becomes one line on stderr and exit status 1."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about a photo's metadata; what matters raises
    try:
        app()
    except DeepLabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from deeplab import __version__

        print(f"deeplab {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
def segment(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO…", help="Photos, folders of photos, or globs.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results, made if missing.")
    ] = Path(),
    model: ModelOption = None,
    crf: Annotated[bool, typer.Option(help="Refine by the fully connected CRF.")] = True,
    overlay: Annotated[bool, typer.Option(help="Also write the photo tinted by class.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Segment photos: write NAME.png (labels) and NAME_overlay.jpg, and print the classes found.

    Results go to the current folder, or to the one that -o names. An earlier result is replaced with --force only, a
    photo never. A photo that fails is reported and the others go on; the exit status is then 1.
    """
    from deeplab.batch import find_photos, plan_jobs
    from deeplab.segment import Segmenter

    _make_folder(output)
    plan = plan_jobs(find_photos(photos), output, overlay=overlay, overwrite=force)
    segmenter = Segmenter.from_pretrained(model, threads=threads)
    failed = False
    with reporter() as out:
        for done, job in enumerate(plan, start=1):
            try:
                if isinstance(job, DeepLabError):
                    raise job
                shares = job.run(segmenter, crf=crf, overwrite=force).shares()
                classes = ", ".join(f"{name} {_percent(share)}" for name, share in shares.items())
                out.result(f"{job.photo} → {', '.join(map(str, job.outputs))}: {classes}")
            except DeepLabError as error:
                failed = True
                out.say(f"error: {error}")
            out.show("segmenting", done, len(plan), "")
    if failed:
        raise typer.Exit(1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "<0.1 %"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose another with -o") from error


@app.command()
def variants() -> None:
    """Print the paper's networks: what tells them apart, their size and what they see."""
    from deeplab.network.variants import VARIANTS

    columns = (
        "name",
        "network",
        "fc6 kernel",
        "input stride",
        "channels",
        "parameters",
        "field of view",
        "receptive field",
        "scores at 513",
    )
    rows = [
        (
            name,
            variant.title,
            f"{variant.fc6_kernel}x{variant.fc6_kernel}",
            f"{variant.fc6_dilation}",
            f"{variant.fc_channels}",
            f"{variant.parameters():,}",
            f"{variant.field_of_view_px} px",
            f"{variant.receptive_field_px} px",
            f"{variant.score_map_size(513)}x{variant.score_map_size(513)}",
        )
        for name, variant in VARIANTS.items()
    ]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def models() -> None:
    """List the shipped models, each with its labels and model card."""
    from deeplab.models import shipped_models
    from deeplab.runtime import ScoreNetwork

    for name, path in shipped_models().items():
        info = ScoreNetwork(path, threads=1).info
        print(f"{name}: {info.variant}, {len(info.label_set)} classes, {path.stat().st_size / 1e6:.1f} MB")
        print(f"  labels: {', '.join(info.label_set.names)}")
        for key, value in info.card.items():
            print(f"  {key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


@app.command()
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


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, e.g. recipes/voc-largefov.yaml.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that the recipe's paths start from.")],
    weights: Annotated[
        Path, typer.Option(metavar="FILE", help="VGG-16 to start from: .npz, .pth, .safetensors or .caffemodel.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="The run's folder; runs/NAME if not given.")
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Train a network as a recipe says. A run that was stopped or killed goes on when started again."""
    with _train_extra():
        import torch

        from deeplab.network.importers import load_initialisation
        from deeplab.training.loop import train as run
        from deeplab.training.recipe import load_recipe
    plan = load_recipe(recipe)
    start = load_initialisation(weights, plan.network, channels=plan.channels, seed=plan.seed)
    if threads is not None:
        torch.set_num_threads(threads)
    with reporter() as out:
        checkpoint = run(plan, data, start, output or Path("runs", plan.name), out.say, out.show)
        out.result(f"{checkpoint}: trained; `deeplab export {checkpoint}` makes a model file of it")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A trained network, .safetensors.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The model file; NAME.onnx if not given.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Integer arithmetic: a quarter of the size, faster.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Half the size; computes in float32.")] = False,
    calibration: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of photos that int8 takes its ranges from.")
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Use so many of these photos, evenly spaced.")] = 100,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML with the keys crf and card: what the file says of itself.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model file.")] = False,
) -> None:
    """Make one self-contained model file of a checkpoint, for `deeplab segment --model`."""
    with _train_extra():
        from deeplab.network.cards import load_card
        from deeplab.network.export import Precision, export_onnx
        from deeplab.network.weights import load_checkpoint
    from deeplab.batch import find_photos
    from deeplab.images import read_image
    from deeplab.segment import shrink_for_network

    if int8 and float16:
        raise InputError("--int8 and --float16 exclude each other; give one")
    if int8 != (calibration is not None):
        raise InputError("int8 needs photos to calibrate on, and nothing else does: give --int8 --calibration DIR")
    model, header = load_checkpoint(checkpoint)
    target = output or Path(f"{checkpoint.stem}.onnx")
    said = load_card(card)
    found = [] if calibration is None else [_existing(photo) for photo in find_photos([str(calibration)])]
    chosen = [found[i * len(found) // photos] for i in range(photos)] if len(found) > photos else found
    precision: Precision = "int8" if int8 else "float16" if float16 else "float32"
    with reporter() as out:
        export_onnx(
            model, header, target, name=target.stem, crf=said.crf, card=said.card, precision=precision,
            calibration=(shrink_for_network(read_image(photo)) for photo in chosen), overwrite=force, say=out.say,
        )  # fmt: skip


def _existing(photo: Path | DeepLabError) -> Path:
    if isinstance(photo, DeepLabError):
        raise photo
    return photo


@contextmanager
def _train_extra() -> Iterator[None]:
    """Turn a missing PyTorch into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this command needs {error.name}: run pip install '.[train]' in deeplab's folder") from None
