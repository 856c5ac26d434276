"""``deeplab train`` and ``deeplab export``: from a recipe to a model file."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ThreadsOption, extra
from deeplab.cli.recipes import DeviceOption, recipe_for
from deeplab.errors import DeepLabError, InputError
from deeplab.files import atomic_file, is_file, make_folder
from deeplab.progress import Reporter, reporter, silent


def train(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that the recipe's paths start from.")],
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A name that `deeplab recipes` lists, or a YAML file of yours; without it one is written for DIR.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="VGG-16 (.npz, .pth, .safetensors, .caffemodel), or a trained network: a checkpoint, a model file or "
            "a shipped name; voc-largefov if not given.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="The run's folder; runs/NAME if not given.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(metavar="H", help="How long it is to take, where no recipe is given; 1 if not given."),
    ] = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that load photos; one without a GPU, else one a core.")
    ] = None,
    cache_gb: Annotated[float, typer.Option(min=0, help="Memory for decoded photos, in gigabytes.")] = 1.0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write scalars for TensorBoard too.")] = False,
) -> None:
    """Train a network as a recipe says, or without one on labelled photos of your own.

    A run that was stopped or killed goes on when started again.

    Several GPUs: torchrun --nproc-per-node 2 -m deeplab train …

    Examples:
        deeplab train --data leaves --hours 2
        deeplab train largefov-voc --data data --weights vgg16.npz
        deeplab train mine.yaml --data data --weights voc-largefov -o runs/mine
    """
    with extra("train"):
        import torch

        from deeplab.training.machine import Machine
        from deeplab.training.new_recipe import WEIGHTS
        from deeplab.training.recipe_files import find_recipe, load_recipe
        from deeplab.training.train import load_start
        from deeplab.training.train import train as run
    if tensorboard:
        with extra("tensorboard"):
            import torch.utils.tensorboard as _  # noqa: F401  # before the work begins
    if recipe is not None and hours is not None:
        raise InputError("--hours is for a recipe yet to be written: leave RECIPE out, or change iterations in it")
    if threads is not None:
        torch.set_num_threads(threads)
    machine = Machine(device, workers, cache_gb, tensorboard)
    speaks = os.environ.get("RANK", "0") == "0"  # one of torchrun's processes is enough
    with reporter() if speaks else nullcontext(Reporter(silent, silent, silent, silent)) as out:
        if recipe is None:
            output = output or Path("runs", data.resolve().name)
            recipe = str(_own_recipe(data, output, hours, device, threads, out))
        plan = load_recipe(find_recipe(recipe))
        if weights is None and plan.start == "imagenet":
            raise InputError(
                f"the recipe {plan.name} starts from VGG-16's published weights; give them, --weights FILE"
            )
        start = load_start(plan, weights or Path(WEIGHTS))
        checkpoint = run(plan, data, start, output or Path("runs", plan.name), out.say, out.show, machine)
        out.result(f"{checkpoint}: trained; `deeplab export {checkpoint}` makes a model file of it")


def _own_recipe(data: Path, output: Path, hours: float | None, device: str, threads: int | None, out: Reporter) -> Path:
    """The recipe that a run's folder keeps, written for the data where there is none yet."""
    path = output / "recipe.yaml"
    if is_file(path):
        out.say(f"going on by {path}" + ("; --hours has no say in it any more" if hours is not None else ""))
        return path
    if "RANK" in os.environ:
        raise InputError("several processes need a recipe: write one with `deeplab recipes new` and give it")
    text = recipe_for(data, 1.0 if hours is None else hours, device, threads, out)
    make_folder(output)
    with atomic_file(path) as file:
        file.write(text.encode())
    out.say(f"{path}: the recipe, written for this data and this machine; it says what it takes and why")
    return path


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A trained network: a checkpoint, a model file or a shipped name."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The model file; NAME.onnx if not given.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Integer arithmetic: a quarter of the size, faster.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Half the size; computes in float32.")] = False,
    calibration: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of photos for --int8 and --low-rank to measure.")
    ] = None,
    low_rank: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Leave out this share of the multiply-adds, where it costs least, e.g. 0.1."
        ),
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Use so many of these photos, evenly spaced.")] = 100,
    strided_msc: Annotated[
        bool, typer.Option("--strided-msc", help="MSc: score every 8 pixels, as the paper; faster, less sharp.")
    ] = False,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML with the keys crf and card: what the file says of itself; what it leaves out is as CHECKPOINT "
            "says, such as a CRF that was trained with the network.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model file.")] = False,
) -> None:
    """Make one self-contained model file of a checkpoint, for `deeplab segment --model`.

    Examples:
        deeplab export runs/mine/mine.safetensors -o mine.onnx
        deeplab export runs/mine/mine.safetensors --int8 --calibration photos
    """
    with extra("train"):
        from deeplab.models.card_files import load_card
        from deeplab.network.export import Precision, export_onnx
        from deeplab.network.model_files import restate
        from deeplab.network.weights import open_weights
    from deeplab.batch.photos import find_photos
    from deeplab.crf import CRFSettings
    from deeplab.images import read_image

    if int8 and float16:
        raise InputError("--int8 and --float16 exclude each other; give one")
    measured = int8 or low_rank is not None
    if measured and calibration is None:
        raise InputError("--int8 and --low-rank need photos to measure; give a folder of them, --calibration DIR")
    if calibration is not None and not measured:
        raise InputError("--calibration is for --int8 and --low-rank; give one of them, or both")
    target = output or Path(f"{checkpoint.stem}.onnx")
    weights = open_weights(checkpoint)
    said = load_card(card) if card else weights.card
    crf = said.crf or weights.card.crf or CRFSettings()
    if weights.info is not None and not (measured or float16 or strided_msc):
        restate(weights.content, weights.info, target, target.stem, said, overwrite=force)
        print(f"{target}: computes as {checkpoint} does; its name, CRF and card are what was given", file=sys.stderr)
        return
    model, header = weights.network()
    if strided_msc:
        if not model.variant.msc:
            raise InputError(f"--strided-msc is for MSc networks; {checkpoint} holds {model.variant.title}")
        model.variant = replace(model.variant, strided_msc=True)
        header = replace(header, variant=model.variant)
    found = [] if calibration is None else [_existing(photo) for photo in find_photos([str(calibration)])]
    chosen = [found[i * len(found) // photos] for i in range(photos)] if len(found) > photos else found
    precision: Precision = "int8" if int8 else "float16" if float16 else "float32"
    with reporter() as out:
        export_onnx(
            model, header, target, name=target.stem, crf=crf, card=said.card, precision=precision,
            low_rank=low_rank, calibration=(header.preprocessing.shrink(read_image(photo)) for photo in chosen),
            overwrite=force, say=out.say,
        )  # fmt: skip


def _existing(photo: Path | DeepLabError) -> Path:
    if isinstance(photo, DeepLabError):
        raise photo
    return photo
