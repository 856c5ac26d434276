"""A project: a folder with photos, what was marked in them, and the classes, to be opened again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice
from deeplab.crf import CRFSettings
from deeplab.documents import read_json
from deeplab.errors import ImageError, InputError, quoted
from deeplab.files import atomic_file, atomic_files, check_kept, is_file, make_folder, sha256_of
from deeplab.images import PHOTO_SUFFIXES, read_photo
from deeplab.labels import Colour, LabelSet
from deeplab.models import DEFAULT_MODEL
from deeplab.teach.mark_json import marks_from_json, marks_to_json
from deeplab.teach.marks import Mark, checked, relabelled
from deeplab.teach.project_file import (
    PROJECT_FILE,
    USES,
    ProjectPhoto,
    ProjectState,
    classes_of,
    read_state,
    state_to_json,
)

FOLDERS = ("photos", "marks", "results", "cache")
"""A project's folders: photos that were added, a file of marks for each photo, label maps, what can be made again."""

_MOST_MARK_BYTES = 64 << 20  # of a photo's file


class Project:
    """A folder that keeps what was taught: open it again and go on.

    >>> project = Project.open("cups", classes=["background", "cup"])
    >>> photo = project.add("examples/coffee.jpg")
    >>> project.mark(photo.id, [Box("cup", 165, 10, 420, 310)])
    >>> ProjectSegmenter(project.folder).segment(project.state, photo.id).save("coffee.png")

    What it holds is written at once, each file whole or not at all. Not for several threads or processes at once: see
    `deeplab.files.alone_in`.

    Attributes:
        folder: where it is.
        state: what it says now; changes put another one in its place.
    """

    def __init__(self, folder: Path, state: ProjectState, next_id: int = 1) -> None:
        """Take what there is; `open` reads it from the folder."""
        self.folder, self.state = folder, state
        self._next_id = next_id
        self._forms: dict[str, list[Any]] = {}  # by photo: its marks as they were given
        self._hashed: tuple[int, str] | None = None
        self._looked_at: dict[str, tuple[int, int]] = {}  # by photo: its file's time and size when its hash was right

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        use: str = "teach",
        model: str | None = None,
        classes: Sequence[str] | LabelSet = ("background",),
    ) -> Project:
        """Open a project; where there is none in the folder, make one with the options given.

        Args:
            folder: the project's; made if it is missing.
            use: "teach" classes of one's own, or "correct" what a model finds.
            model: a shipped model's name; None: the default one.
            classes: the names of the first classes, or also their colours; to correct a model, its own, and in its
                order.

        Raises:
            InputError: the folder's project is damaged, of another version, or leads out of the folder by links.
            OutputError: the folder cannot be written.
        """
        folder = Path(folder)
        for name in FOLDERS:
            if (folder / name).is_symlink():
                raise InputError(f"{folder / name} is a symbolic link; put a folder in its place")
            make_folder(folder / name, option="--project")
        check_kept(folder / PROJECT_FILE)
        if is_file(folder / PROJECT_FILE):
            project = cls(folder, *read_state(folder / PROJECT_FILE))
            project._read_marks()
            return project
        check_choice(use, USES, "use")
        colours = classes.palette if isinstance(classes, LabelSet) else [None] * len(classes)
        names = classes.names if isinstance(classes, LabelSet) else classes
        label_set = classes_of(list(zip(names, colours, strict=False)))
        project = cls(folder, ProjectState(use, model or DEFAULT_MODEL, label_set))
        project._write()
        return project

    def add(self, photo: str | os.PathLike[str]) -> ProjectPhoto:
        """Copy a photo's file into the project; one that is there already is not copied again.

        Raises:
            ImageError: it cannot be read as a photo.
            OutputError: it cannot be written.
        """
        try:
            content = Path(photo).read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {photo}: {error.strerror}; check the path") from None
        file = self.place(Path(photo).name, content)
        try:
            reading = read_photo(self.folder / file)
        except ImageError:
            (self.folder / file).unlink()
            raise
        return self.enlist(file, reading.pixels.shape[:2], reading.notes)

    def place(self, name: str, content: bytes) -> str:
        """Write a photo's file under a name that is free, and return its path in the project; `enlist` takes that."""
        digest = hashlib.sha256(content).hexdigest()
        for photo in self.state.photos.values():
            if photo.sha256 == digest and self.problem(photo.id) is None:
                return photo.file
        stem, suffix = (re.sub(r"[^\w.()\[\] +-]", "_", part) for part in os.path.splitext(name))  # noqa: PTH122
        taken = {Path(photo.name).stem.lower() for photo in self.state.photos.values()}
        names = (f"{stem or 'photo'}{f'-{n}' if n else ''}" for n in range(1 << 30))
        free = next(n for n in names if n.lower() not in taken and not (self.folder / "photos" / (n + suffix)).exists())
        with atomic_file(self.folder / "photos" / (free + suffix)) as file:
            file.write(content)
        return f"photos/{free}{suffix}"

    def found(self) -> list[str]:
        """Return the photos that lie in the folder but are not in the project yet; links that lead out are none."""
        known = {*self.state.left_out, *(photo.file for photo in self.state.photos.values())}
        here = [path for folder in (self.folder, self.folder / "photos") for path in sorted(folder.iterdir())]
        photos = [path for path in here if path.suffix.lower() in PHOTO_SUFFIXES and path.name[0] != "."]
        named = [path.relative_to(self.folder).as_posix() for path in photos if self._is_inside(path)]
        return [file for file in named if file not in known]

    def enlist(self, file: str, size: tuple[int, int], notes: Sequence[str] = ()) -> ProjectPhoto:
        """Take a file in the folder as a photo of `size` (H, W); one that is in the project stays as it is."""
        for photo in self.state.photos.values():
            if photo.file == file:
                return photo
        photo = ProjectPhoto(str(self._next_id), file, sha256_of(self.path(file)), size, tuple(notes))
        self._next_id += 1
        self._photos({**self.state.photos, photo.id: photo}, self.state.version)
        return photo

    def remove(self, photo_id: str) -> None:
        """Take a photo, its marks and its result out; its file goes, too, if it was copied into the project."""
        photo, copied = self.state.photo(photo_id), f"{FOLDERS[0]}/"
        if not photo.file.startswith(copied):
            self.state = replace(self.state, left_out=(*self.state.left_out, photo.file))
        self._photos({key: one for key, one in self.state.photos.items() if key != photo_id})
        self._forms.pop(photo_id, None)
        for path in (self._marks_path(photo_id), self.result_path(photo_id)):
            path.unlink(missing_ok=True)
        if photo.file.startswith(copied):
            (self.folder / photo.file).unlink(missing_ok=True)

    def retake(self, photo_id: str, size: tuple[int, int], notes: Sequence[str] = ()) -> None:
        """Take a photo's file, which was replaced, as it is now, without its marks."""
        photo = self.state.photo(photo_id)
        sha256 = sha256_of(self.path(photo.file))
        new = replace(photo, sha256=sha256, size=size, notes=tuple(notes), marks=())
        self._forms.pop(photo_id, None)
        self._marks_path(photo_id).unlink(missing_ok=True)
        self._photos({**self.state.photos, photo_id: new})

    def mark(self, photo_id: str, marks: Mark | Sequence[Mark] | NDArray[np.integer[Any]]) -> None:
        """Add marks to a photo, as `Teacher.mark` takes them.

        Raises:
            InputError: there is no such photo, or a mark is unusable; then nothing is added.
        """
        photo, label_set = self.state.photo(photo_id), self.state.label_set
        given = marks_to_json(checked(marks, photo.size, label_set), label_set.void)
        self.put_marks(photo_id, [*self.marks(photo_id), *given])

    def marks(self, photo_id: str) -> list[Any]:
        """Return a photo's marks as JSON values, the earliest first."""
        self.state.photo(photo_id)
        return list(self._forms.get(photo_id, []))

    def put_marks(self, photo_id: str, forms: Sequence[Any]) -> None:
        """Put marks, JSON values as docs/http-api.md has them, in the place of all that a photo has.

        Raises:
            InputError: there is no such photo, or a mark is unusable; then all stays as it was.
        """
        photo = self.state.photo(photo_id)
        before = self._forms.get(photo_id, [])
        marks = marks_from_json(forms, photo.size, self.state.label_set, photo.marks, before)
        version = self.state.version + 1
        with atomic_file(self._marks_path(photo_id), overwrite=True) as file:
            file.write(_marks_file(photo, list(forms), version))
        self._forms[photo_id] = list(forms)
        photos = {**self.state.photos, photo_id: replace(photo, marks=marks)}
        self.state = replace(self.state, photos=photos, version=version)

    def set_classes(self, classes: Sequence[tuple[int | None, str, Colour | None]]) -> None:
        """Give the project other classes, each with its number until now (None for a new one), name and colour.

        Marks go along with their classes, and those of classes that are left out with them.

        Raises:
            InputError: a number is of no class, or comes twice; or as `classes_of`.
        """
        label_set = classes_of([(name, colour) for _, name, colour in classes])
        kept = [was for was, _, _ in classes if was is not None]
        if len(set(kept)) < len(kept) or not all(0 <= was < len(self.state.label_set) for was in kept):
            raise InputError(f"classes were {quoted(kept)}; expected numbers of classes, none of them twice")
        table = {was: label for label, (was, _, _) in enumerate(classes) if was is not None}
        photos, forms = dict(self.state.photos), dict(self._forms)
        if any(table.get(label) != label for label in range(len(self.state.label_set))):
            for key, photo in photos.items():
                moved = relabelled(photo.marks, table, label_set.void)
                forms[key] = marks_to_json(moved, label_set.void)
                photos[key] = replace(photo, marks=marks_from_json(forms[key], photo.size, label_set))
        state = replace(self.state, label_set=label_set, photos=photos, version=self.state.version + 1)
        changed = [key for key in photos if forms.get(key) != self._forms.get(key)]
        paths = [self.folder / PROJECT_FILE, *map(self._marks_path, changed)]
        with atomic_files(*paths, overwrite=True) as files:
            files[0].write(_json(state_to_json(state, self._next_id)))
            for key, file in zip(changed, files[1:], strict=True):
                file.write(_marks_file(photos[key], forms[key], state.version))
        self.state, self._forms = state, forms

    def change(
        self, *, use: str | None = None, model: str | None = None, crf: Mapping[str, float] | None = None
    ) -> None:
        """Change what the project is for, its model, or the CRF's parameters that are not the model's own.

        Raises:
            InputError: there is no such use or parameter.
        """
        state = self.state
        check_choice(use or state.use, USES, "use")
        CRFSettings().changed(crf or {})
        self.state = replace(
            state,
            use=use or state.use,
            model=model or state.model,
            crf=state.crf if crf is None else dict(crf),
            version=state.version + 1,
        )
        self._write()

    def problem(self, photo_id: str) -> str | None:
        """Say what became of a photo's file: "missing", "replaced" since it was marked, or None."""
        photo = self.state.photo(photo_id)
        path = self.folder / photo.file
        if not (is_file(path) and self._is_inside(path)):
            return "missing"
        about = path.stat()
        seen = about.st_mtime_ns, about.st_size
        if self._looked_at.get(photo_id) != seen:
            if sha256_of(path) != photo.sha256:
                return "replaced"
            self._looked_at[photo_id] = seen
        return None

    def path(self, file: str) -> Path:
        """Return where a file of the project is.

        Raises:
            InputError: a link leads out of the project.
        """
        path = self.folder / file
        if not self._is_inside(path):
            raise InputError(f"{path} leads out of the project by a symbolic link; put the file itself there")
        return path

    def result_path(self, photo_id: str) -> Path:
        """Return where a photo's label map is kept, or would be."""
        return self.folder / "results" / f"{photo_id}.png"

    def stems(self) -> dict[str, str]:
        """Return by photo what its results are called, without ending, no two alike."""
        names: dict[str, str] = {}
        for key, photo in self.state.photos.items():
            stem = PurePosixPath(photo.name).stem
            names[key] = stem if stem.lower() not in {name.lower() for name in names.values()} else f"{stem}-{key}"
        return names

    def made_of(self, photo_id: str) -> str:
        """Return what tells results of a photo that differ: a hash of all that they depend on."""
        own = self.state.photo(photo_id)
        learnt = self._learnt() if self.state.use == "teach" else self._said([own.sha256, self._forms.get(photo_id)])
        return hashlib.sha256(f"{own.sha256} {learnt}".encode()).hexdigest()

    def _learnt(self) -> str:
        """The hash of all marks, computed once for a version."""
        if self._hashed is None or self._hashed[0] != self.state.version:
            marks = [[photo.sha256, self._forms.get(key)] for key, photo in self.state.photos.items() if photo.marks]
            self._hashed = self.state.version, self._said(marks)
        return self._hashed[1]

    def _said(self, marks: list[Any]) -> str:
        state = self.state
        said = [state.use, state.model, state.label_set.to_dict(), dict(state.crf), marks]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.folder.resolve())

    def _photos(self, photos: Mapping[str, ProjectPhoto], version: int | None = None) -> None:
        self.state = replace(self.state, photos=photos, version=version or self.state.version + 1)
        self._write()

    def _write(self) -> None:
        with atomic_file(self.folder / PROJECT_FILE, overwrite=True) as file:
            file.write(_json(state_to_json(self.state, self._next_id)))

    def _marks_path(self, photo_id: str) -> Path:
        return self.folder / "marks" / f"{photo_id}.json"

    def _read_marks(self) -> None:
        photos, version = dict(self.state.photos), self.state.version
        for key, photo in photos.items():
            path = self._marks_path(key)
            if not is_file(path):
                continue
            given = read_json(self.path(f"marks/{path.name}"), most_bytes=_MOST_MARK_BYTES)
            if not isinstance(given, dict) or not isinstance(given.get("version"), int):
                raise InputError(f"{path} holds no marks of a photo; mend it, or remove it")
            try:
                marks = marks_from_json(given.get("marks"), photo.size, self.state.label_set)
            except InputError as error:
                raise InputError(f"{path} is damaged: {error}; mend it, or remove it") from None
            photos[key], self._forms[key] = replace(photo, marks=marks), given["marks"]
            version = max(version, given["version"])
        self.state = replace(self.state, photos=photos, version=version)


def _marks_file(photo: ProjectPhoto, forms: list[Any], version: int) -> bytes:
    return _json({"photo": photo.file, "version": version, "marks": forms})


def _json(values: Any) -> bytes:
    return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()
