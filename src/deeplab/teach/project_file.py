"""A project's file, ``project.json``: its classes and photos, checked whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from deeplab.checks import check_choice, check_count
from deeplab.crf import CRFSettings
from deeplab.documents import read_json
from deeplab.errors import MALFORMED, InputError, quoted
from deeplab.labels import Colour, LabelSet, voc_colour_map
from deeplab.models import DEFAULT_MODEL
from deeplab.teach.marks import Mark, labels_of

PROJECT_FILE = "project.json"
USES = ("correct", "teach")

MOST_CLASSES = 100
_LONGEST_NAME = 100
_FORMAT_KEY, _FORMAT = "deeplab project", 1


@dataclass(frozen=True)
class ProjectPhoto:
    """A photo of a project.

    Attributes:
        id: what it is called by, never again given to another.
        file: its path below the project's folder, with slashes.
        sha256: of the file, as it was marked.
        size: (H, W) of the upright photo.
        notes: what was assumed of it, as in `deeplab.images.Reading`.
        marks: in pixels of the photo, the earliest first.
    """

    id: str
    file: str
    sha256: str
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(self.file).name


@dataclass(frozen=True)
class ProjectState:
    """What a project says at a time.

    Attributes:
        use: "correct" what a model finds, or "teach" classes of one's own.
        model: the name of the model: what is corrected, or whose trunk gives the features.
        label_set: the classes.
        crf: those of the CRF's parameters that are not the model's own, by name, distances in pixels of what the
            network sees.
        photos: by id.
        version: grows with every change of classes, settings or marks.
        left_out: files in the folder that look like photos and were taken out.
    """

    use: str = "teach"
    model: str = DEFAULT_MODEL
    label_set: LabelSet = field(default_factory=lambda: classes_of([("background", None)]))
    crf: Mapping[str, float] = field(default_factory=dict)
    photos: Mapping[str, ProjectPhoto] = field(default_factory=dict)
    version: int = 1
    left_out: tuple[str, ...] = ()

    def photo(self, photo_id: str) -> ProjectPhoto:
        """Return a photo.

        Raises:
            InputError: there is none of that id.
        """
        if photo_id not in self.photos:
            raise InputError(f"the project has no photo {quoted(photo_id)}; it has {', '.join(self.photos) or 'none'}")
        return self.photos[photo_id]

    def lacks(self) -> str | None:
        """Say why nothing can be segmented yet; None where it can."""
        if self.use == "correct":
            return None
        found = set().union(*(labels_of(photo.marks, self.label_set) for photo in self.photos.values()))
        if len(found) > 1:
            return None
        so_far = f"all marks are of {self.label_set.names[found.pop()]!r}" if found else "nothing is marked yet"
        return f"{so_far}; mark something of two classes, such as a thing and what lies around it"


def classes_of(given: Sequence[tuple[str, Colour | None]]) -> LabelSet:
    """Return classes of names and colours; those without one get one that is free.

    Raises:
        InputError: they are none or too many, two have one name, or a name is no text that can be shown.
    """
    if not 1 <= len(given) <= MOST_CLASSES:
        raise InputError(f"there are {len(given)} classes; expected 1 to {MOST_CLASSES}")
    for name, _ in given:
        if not (isinstance(name, str) and name == name.strip() and 0 < len(name) <= _LONGEST_NAME):
            raise InputError(f"a class is called {quoted(name)}; expected 1 to {_LONGEST_NAME} characters")
        if not name.isprintable():
            raise InputError(f"a class is called {quoted(name)}; expected characters that can be shown")
    taken = {colour for _, colour in given}
    free = (colour for colour in voc_colour_map()[1:] if colour not in taken)
    plain = LabelSet("project", tuple(name for name, _ in given))
    palette = [
        colour or ((0, 0, 0) if label == plain.background else next(free)) for label, (_, colour) in enumerate(given)
    ]
    return LabelSet(plain.name, plain.names, tuple(palette))


def state_to_json(state: ProjectState, next_id: int) -> dict[str, Any]:
    """Return what `project.json` holds: all but the marks, which have files of their own."""
    return {
        _FORMAT_KEY: _FORMAT,
        "version": state.version,
        "use": state.use,
        "model": state.model,
        "crf": dict(state.crf),
        "classes": [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(state.label_set.names, state.label_set.palette, strict=False)
        ],
        "next": next_id,
        "left out": list(state.left_out),
        "photos": [
            {
                "id": photo.id,
                "file": photo.file,
                "sha256": photo.sha256,
                "size": [photo.size[1], photo.size[0]],
                "notes": list(photo.notes),
            }
            for photo in state.photos.values()
        ],
    }


def read_state(path: Path) -> tuple[ProjectState, int]:
    """Return what a `project.json` says, without marks, and the next photo's id.

    Raises:
        InputError: it is damaged, of another version, or names a file outside the project's folder.
    """
    given = read_json(path)
    if not isinstance(given, dict) or _FORMAT_KEY not in given:
        raise InputError(f"{path} is no project of deeplab's; choose another folder")
    if (version := given[_FORMAT_KEY]) != _FORMAT:
        raise InputError(
            f"{path} is of format {quoted(version)}; this deeplab reads format {_FORMAT}: use the deeplab that made "
            "it, or a later one"
        )
    try:
        classes = classes_of([(one["name"], tuple(one["colour"])) for one in given["classes"]])
        photos = [_photo(one) for one in given["photos"]]
        by_id = {photo.id: photo for photo in photos}
        next_id = check_count(given["next"], 1, "next")
        if len(by_id) < len(photos) or any(int(key) >= next_id for key in by_id):
            raise InputError("two photos have one id, or one that is to come")
        crf = dict(given["crf"])
        CRFSettings().changed(crf)
        state = ProjectState(
            check_choice(given["use"], USES, "use"),
            str(given["model"]),
            classes,
            crf,
            by_id,
            check_count(given["version"], 1, "version", most=1 << 53),
            tuple(map(str, given["left out"])),
        )
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}; mend it, or choose another folder") from None
    except MALFORMED as error:
        raise InputError(f"{path} is damaged ({quoted(error)}); mend it, or choose another folder") from None
    return state, next_id


def _photo(given: Mapping[str, Any]) -> ProjectPhoto:
    file, key, (width, height) = given["file"], given["id"], given["size"]
    parts = PurePosixPath(file)
    if parts.is_absolute() or ".." in parts.parts or not parts.name or "\\" in file or "\0" in file:
        raise InputError(f"it names the photo {quoted(file)}; expected a file below its own folder")
    if not (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 9):
        raise InputError(f"a photo's id is {quoted(key)}; expected digits")
    size = check_count(height, 1, "height"), check_count(width, 1, "width")
    return ProjectPhoto(key, file, str(given["sha256"]), size, tuple(map(str, given["notes"])))
