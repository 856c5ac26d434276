"""Parts of the commands on labelled photos: scores stored by a model or found, sound photos, files of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.files import is_file
from deeplab.progress import Reporter

if TYPE_CHECKING:
    from deeplab.data.samples import Sample
    from deeplab.evaluation.stored_scores import StoredScores

SkipOption = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out photos and masks that cannot be read, naming them.")
]


@contextmanager
def stored_scores(
    out: Reporter,
    samples: Sequence[Sample],
    folder: Path | None,
    model: str | None,
    *,
    threads: int | None,
    force: bool,
) -> Iterator[StoredScores]:
    """Yield the scores of photos, stored in a folder, or for the time of the block where none is given.

    Without a model's name, a folder that holds the scores of all photos is taken as it is, whoever's they are;
    otherwise the model named, or the shipped one, scores the photos that are missing.
    """
    from deeplab.evaluation.stored_scores import open_scores, store_scores
    from deeplab.segment import Segmenter

    if model is None and folder is not None and is_file(folder / "scores.json"):
        found = open_scores(folder)
        if all(is_file(found.path(sample.name)) for sample in samples):
            yield found
            return
    segmenter = Segmenter.from_pretrained(model, threads=threads)
    with nullcontext(folder) if folder is not None else TemporaryDirectory() as place:
        yield store_scores(samples, Path(place), segmenter, force=force, show=out.show)


def sound_samples(out: Reporter, samples: Sequence[Sample]) -> list[Sample]:
    """Return the photos that can be read together with their masks; say which cannot."""
    from deeplab.data.samples import load_sample
    from deeplab.errors import DeepLabError

    sound = []
    for sample in samples:
        try:
            load_sample(sample)
        except DeepLabError as error:
            out.say(f"skipped: {error}")
        else:
            sound.append(sample)
    return sound


def write_text(path: Path, content: str, *, overwrite: bool) -> None:
    """Write a file of text, whole or not at all."""
    from deeplab.files import atomic_file

    with atomic_file(path, overwrite=overwrite) as file:
        file.write(content.encode())
