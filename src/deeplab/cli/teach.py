"""``deeplab teach``: marks that were drawn elsewhere in, a model file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ModelOption, ThreadsOption, read_label_set
from deeplab.errors import DataError, DeepLabError
from deeplab.progress import reporter


def teach(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The photos' folder, or a project's.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model file, NAME.onnx.")],
    marks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Label maps NAME.png (255: unknown), CVAT's masks, or JSON of COCO or Label Studio. Not of a project.",
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
    segments all of them. A project, as `deeplab serve --project FOLDER` makes it, has its own marks and classes.

    Examples:
        deeplab teach photos --marks strokes -o leaves.onnx
        deeplab segment photos --model leaves.onnx -o results
    """
    from deeplab.batch.photos import find_photos
    from deeplab.files import check_output
    from deeplab.images import read_image
    from deeplab.teach import Teacher
    from deeplab.teach.drawn import read_drawn

    check_output(output, overwrite=force)
    if marks is None:
        _from_project(folder, output, [("--names", names), ("--model", model)], force, threads)
        return
    drawn = read_drawn(marks, None if names is None else read_label_set(names, in_order=True))
    with reporter() as out:
        photos = {photo.stem: photo for photo in find_photos([str(folder)], out.say) if isinstance(photo, Path)}
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
    from functools import partial

    from deeplab.files import alone_in, is_file
    from deeplab.segment import Segmenter
    from deeplab.teach import Project, ProjectSegmenter
    from deeplab.teach.project_file import PROJECT_FILE

    if not is_file(folder / PROJECT_FILE):
        raise DataError(f"{folder} is no project; say where its photos' marks are (--marks)")
    for option, value in not_taken:
        if value is not None:
            raise DataError(f"{folder} is a project and says that itself; leave {option} out, or give --marks, too")
    with reporter() as out, alone_in(folder):
        state = Project.open(folder).state
        load = partial(Segmenter.from_pretrained, threads=threads)
        ProjectSegmenter(folder, load, threads).save(state, output, overwrite=force)
        count = sum(bool(photo.marks) for photo in state.photos.values())
        out.result(f"{output}: {', '.join(state.label_set.names)}, from {count} photo{'s' * (count > 1)}")
