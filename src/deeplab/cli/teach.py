"""``deeplab teach``: marks that were drawn elsewhere, or masks, in, a model file out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption, read_label_set
from deeplab.errors import DataError, DeepLabError
from deeplab.progress import Say, reporter

if TYPE_CHECKING:
    from deeplab.teach.drawn import DrawnMarks


def teach(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The photos' folder, or a project's.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model file, NAME.onnx.")],
    marks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Label maps NAME.png (255: unknown), CVAT's masks, JSON of COCO or Label Studio; if not given, those "
            "of the project, or the folder's own masks.",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(metavar="voc|camvid|FILE", help="Class names, if the label maps hold none: one a line, or JSON."),
    ] = None,
    model: ModelOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model file.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Teach classes by marks on a few photos: write a model file that segments the others.

    Photos are found by the marks' names; those without marks are left alone. `deeplab segment FOLDER --model FILE` then
    segments all of them. A project, as `deeplab serve --project FOLDER` makes it, has its own marks and classes, and
    labelled photos, in a layout that `deeplab check-data` knows, their masks: those to learn from.

    Examples:
        deeplab teach photos --marks strokes -o leaves.onnx
        deeplab segment photos --model leaves.onnx -o results
    """
    from deeplab.files import check_output, is_file
    from deeplab.images import read_image
    from deeplab.teach import Teacher
    from deeplab.teach.project_file import PROJECT_FILE

    check_output(output, overwrite=force)
    if marks is None and is_file(folder / PROJECT_FILE):
        _from_project(folder, output, [("--names", names), ("--model", model)], force, threads)
        return
    with reporter() as out:
        drawn, photos = _masks(folder, names, out.say) if marks is None else _drawn(folder, marks, names, out.say)
        if missing := sorted(drawn.of.keys() - photos.keys()):
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise DataError(f"{marks} has marks for {missing[0]}{more}, but {folder} no such photo; give its folder")
        teacher = Teacher(drawn.label_set, model, threads=threads)
        for done, (name, marks_on) in enumerate(sorted(drawn.of.items()), start=1):
            photo = photos[name]
            try:
                for given in marks_on(read_image(photo).shape[:2]):
                    teacher.mark(photo, given)
            except DeepLabError as error:
                raise DataError(f"{photo}: {error}") from None
            out.show("teaching", done, len(drawn.of), "")
        teacher.save(output, overwrite=force)
        out.result(
            f"{output}: {', '.join(drawn.label_set.names)}, from {len(drawn.of)} photo{'s' * (len(drawn.of) > 1)}"
        )


def _from_project(
    folder: Path, output: Path, not_taken: list[tuple[str, str | None]], force: bool, threads: int | None
) -> None:
    from deeplab.files import alone_in
    from deeplab.segment import Segmenter
    from deeplab.teach import Project, ProjectSegmenter

    for option, value in not_taken:
        if value is not None:
            raise DataError(f"{folder} is a project and says that itself; leave {option} out, or give --marks, too")
    with reporter() as out, alone_in(folder):
        state = Project.open(folder).state
        load = partial(Segmenter.from_pretrained, threads=threads)
        ProjectSegmenter(folder, load, threads).save(state, output, overwrite=force)
        count = sum(bool(photo.marks) for photo in state.photos.values())
        out.result(f"{output}: {', '.join(state.label_set.names)}, from {count} photo{'s' * (count > 1)}")


def _drawn(folder: Path, marks: Path, names: str | None, say: Say) -> tuple[DrawnMarks, dict[str, Path]]:
    """Marks drawn elsewhere, and the folder's photos by name."""
    from deeplab.batch.photos import find_photos
    from deeplab.teach.drawn import read_drawn

    drawn = read_drawn(marks, None if names is None else read_label_set(names, in_order=True))
    return drawn, {photo.stem: photo for photo in find_photos([str(folder)], say) if isinstance(photo, Path)}


def _masks(folder: Path, names: str | None, say: Say) -> tuple[DrawnMarks, dict[str, Path]]:
    """The masks to learn from of labelled data as marks, and its photos, by name."""
    from deeplab.data.readers import guess_layout, read_samples
    from deeplab.data.samples import load_mask
    from deeplab.teach.drawn import DrawnMarks
    from deeplab.training.own_data import choose_splits

    try:
        reader = guess_layout(folder)
    except DataError as error:
        raise DataError(f"{error}; it is no project either: say where its photos' marks are (--marks)") from None
    split, _ = choose_splits(reader, folder)
    samples = read_samples(reader, folder, split, names=None if names is None else Path(names), tell=say)
    masks = {sample.name: partial(lambda sample, size: [load_mask(sample)], sample) for sample in samples}
    return DrawnMarks(samples[0].label_set, masks), {sample.name: sample.photo for sample in samples}
