"""Steps that are done once: each keeps its result in a file with the identity of what it was made from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deeplab.data.samples import Sample
from deeplab.documents import parse_json, read_json
from deeplab.errors import DataError, InputError
from deeplab.files import atomic_file, make_folder
from deeplab.progress import Say, Show


class Done(NamedTuple):
    """What a step gave, as JSON values, and how many seconds it took when it was done."""

    result: Any
    seconds: float


@dataclass(frozen=True)
class Workspace:
    """Where one network's steps are done and kept.

    Attributes:
        folder: for their files.
        say: takes lines about what happens.
        show: takes progress.
    """

    folder: Path
    say: Say
    show: Show

    def step(
        self, name: str, inputs: Mapping[str, Any], make: Callable[[], Any], *, makes: Sequence[Path] = ()
    ) -> Done:
        """Do a step, unless it was done before from the same inputs and the files it makes are still there.

        Its file is written last and whole, so a step that was stopped is done again; what takes long keeps its own
        account of how far it came.

        Args:
            name: of the step and, with ``.json``, of its file.
            inputs: all that the result depends on, as JSON values.
            make: does the work and returns JSON values.
            makes: other files and folders that the step leaves.

        Raises:
            OutputError: the file cannot be written.
        """
        file = self.folder / f"{name}.json"
        wanted = parse_json(json.dumps(inputs), halves=True)
        known = _read(file)
        if known.get("inputs") == wanted and all(path.exists() for path in makes):
            return Done(known["result"], known["seconds"])
        self.say(f"{self.folder.name}: {name}")
        started = time.monotonic()
        result = parse_json(json.dumps(make()), halves=True)
        done = Done(result, round(time.monotonic() - started, 3))
        with atomic_file(file, overwrite=True) as out:
            out.write(json.dumps({"inputs": wanted, **done._asdict()}, ensure_ascii=False, indent=1).encode())
        return done

    def show_step(self, stage: str, done: int, total: int, facts: str) -> None:
        """Show progress under the name of this network."""
        self.show(f"{self.folder.name}: {stage}", done, total, facts)

    def make_folder(self, name: str = "") -> Path:
        """Make the workspace's folder, or one in it.

        Raises:
            OutputError: that is not possible.
        """
        folder = self.folder / name
        make_folder(folder)
        return folder


def identity_of(samples: Sequence[Sample]) -> str:
    """Tell whether photos and masks are the same files as before: a digest of names, sizes and times of change.

    Raises:
        DataError: a file has gone.
    """
    digest = hashlib.sha256()
    for sample in samples:
        for path in (sample.photo, sample.mask):
            try:
                facts = path.stat()
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror}; check the data folder") from None
            digest.update(f"{sample.name} {path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Any]:
    """A step's file; empty where there is none that can be read, so that the step is done again."""
    try:
        content = read_json(file)
    except InputError:
        return {}
    complete = isinstance(content, dict) and {"inputs", "result", "seconds"} <= content.keys()
    return content if complete else {}
