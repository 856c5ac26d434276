"""The manifest: one line of JSON for each photo, which says what was made of it, when it may be skipped, what is ours.

A line is written before the results take their names. So whatever a kill leaves behind, a result in its place stands in
the manifest; and a result that does not is somebody else's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplab.batch.remote import RemotePhoto
from deeplab.batch.results import Settings
from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, DeepLabError, InputError, OutputError
from deeplab.files import atomic_file, check_output, open_alone, sha256_of
from deeplab.json_lines import append_line, as_line, cut_off, whole_lines
from deeplab.seals import is_sealed

Version = tuple[int, int]
"""A photo's size in bytes, and when it was last changed, in ns since 1970."""

MAKER = "segment"
"""What the seal of a batch's results says of what made them."""

_BEGINNING = b'{"file": '  # of every line


@dataclass(frozen=True)
class Origin:
    """What results depend on beside the photo.

    Attributes:
        model: the model's name.
        sha256: of the model file.
        settings: how the photos are segmented.
    """

    model: str
    sha256: str
    settings: Settings

    def to_dict(self) -> dict[str, Any]:
        """Return the part of a manifest's line that says so."""
        return {"model": {"name": self.model, "sha256": self.sha256}, "settings": self.settings.to_dict()}


@dataclass
class Manifest:
    """The manifest of one folder of results, open for one run at a time; a context manager.

    Attributes:
        path: the file; None: nothing is known of earlier runs, and nothing is written.
        folder: where the results are.
        origin: what this run's results depend on.
    """

    path: Path | None
    folder: Path
    origin: Origin
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False)
    _by_output: dict[str, list[dict[str, Any]]] = field(default_factory=dict, init=False)
    _descriptor: int | None = field(default=None, init=False)

    def __enter__(self) -> Manifest:
        """Read what is there, without a last line that a kill tore.

        Raises:
            InputError: the file is no manifest.
            OutputError: it is a link, cannot be read or written, or another run has it open.
        """
        if self.path is not None:
            check_output(self.path, overwrite=True)
            try:
                self._descriptor = self._alone(self.path)
                self._read(self._descriptor)
            except OSError as error:
                self._close()
                raise OutputError(f"cannot write {self.path}: {error.strerror}; choose another (--manifest)") from error
            except DeepLabError:
                self._close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave one line for each photo; no file where there is no line."""
        try:
            if self.path is not None:
                self._tidy(self.path)
        finally:
            self._close()

    def _tidy(self, path: Path) -> None:
        if not self._lines:
            path.unlink(missing_ok=True)
        elif (lines := self._needed()) != self._lines:
            with atomic_file(path, overwrite=True) as file:
                file.writelines(map(as_line, lines))

    def is_done(self, version: Version | None, outputs: Sequence[Path]) -> bool:
        """Tell whether these results are there, intact, and were made of this version of a photo in this run's way."""
        lines = self._of(outputs[0].name)
        if not lines or version is None:
            return False
        line = lines[-1]
        if line.get("error") is not None or _version_in(line) != version:
            return False
        if any(line.get(key) != value for key, value in self.origin.to_dict().items()):
            return False
        made = line["outputs"]
        return all(output.name in made and _sha256_of(output) == made[output.name] for output in outputs)

    def check_replaceable(self, photo: Path | RemotePhoto, version: Version | None, outputs: Sequence[Path]) -> None:
        """Check that each of a photo's results is free, or there as the manifest or its seal says.

        Raises:
            OutputError: it is another photo's, was changed by somebody, or is not known here.
        """
        for output in outputs:
            if not os.path.lexists(output):
                continue
            lines = self._of(output.name)
            if not lines:
                check_output(output, overwrite=is_sealed(output, MAKER, photo))
                continue
            if lines[-1]["file"] != _place_of(photo) and _version_in(lines[-1]) != version:
                raise OutputError(
                    f"{photo}: its result {output} is already that of {lines[-1]['file']}; choose another folder (-o), "
                    "or give --force to replace it"
                )
            if _sha256_of(output) not in {line["outputs"][output.name] for line in lines}:
                raise OutputError(
                    f"{output} was changed by somebody since; move it away, or give --force to replace it"
                )

    def add(
        self,
        photo: Path | RemotePhoto,
        version: Version | None,
        outputs: Mapping[str, str],
        facts: Mapping[str, Any],
    ) -> None:
        """Append a photo's line.

        Args:
            photo: the photo.
            version: the one that was read, or an earlier one.
            outputs: the names of its results → their SHA-256.
            facts: the rest: what was found, or the error.

        Raises:
            OutputError: the line cannot be written; nothing of it is left.
        """
        size_bytes, modified_ns = version or (None, None)
        line = {"file": _place_of(photo), "bytes": size_bytes, "modified_ns": modified_ns, "outputs": dict(outputs)}
        line |= dict(facts) | self.origin.to_dict()
        if self.path is not None:
            append_line(self.path, line, descriptor=self._descriptor)
        self._remember(line)

    def add_error(
        self, photo: Path | RemotePhoto, version: Version | None, outputs: Sequence[Path], error: DeepLabError
    ) -> None:
        """Append the line of a photo that failed; results of an earlier run stay in it as long as they are there."""
        found = {output.name: _sha256_of(output) for output in outputs}
        known = {name: {line["outputs"][name] for line in self._of(name)} for name in found}
        kept = {name: sha256 for name, sha256 in found.items() if sha256 and sha256 in known[name]}
        self.add(photo, version, kept, {"error": str(error)})

    def _alone(self, path: Path) -> int:
        if path.is_symlink():
            raise OutputError(f"{path} is a symbolic link; move it away, or name another file with --manifest")
        descriptor = open_alone(path)
        if descriptor is None:
            raise OutputError(f"another run is writing {path}; wait for its end, or choose another folder (-o)")
        return descriptor

    def _of(self, name: str) -> list[dict[str, Any]]:
        return self._by_output.get(name, [])

    def _remember(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        for name in line["outputs"]:
            self._by_output.setdefault(name, []).append(line)

    def _needed(self) -> list[dict[str, Any]]:
        """Return the last line of each photo whose results are its own, and all of one that a kill left half done."""
        by_file: dict[str, list[dict[str, Any]]] = {}
        for line in self._lines:
            by_file.setdefault(line["file"], []).append(line)
        needed: list[dict[str, Any]] = []
        for file, lines in by_file.items():
            outputs = lines[-1]["outputs"]
            if len(lines) > 1 and any(_sha256_of(self.folder / name) != sha256 for name, sha256 in outputs.items()):
                needed += lines
            elif all(self._by_output[name][-1]["file"] == file for name in outputs):
                needed.append(lines[-1])
        return needed

    def _read(self, descriptor: int) -> None:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            lines, torn = whole_lines(file.read())
        if not (torn.startswith(_BEGINNING) or _BEGINNING.startswith(torn)):
            raise self._strange(len(lines) + 1)
        for number, text in enumerate(lines, start=1):
            try:
                line = parse_json(text, halves=True)
                if not all(
                    isinstance(part, str) for part in (line["file"], *line["outputs"], *line["outputs"].values())
                ):
                    raise TypeError
            except MALFORMED:
                raise self._strange(number) from None
            self._remember(line)
        cut_off(descriptor, torn)

    def _strange(self, number: int) -> InputError:
        return InputError(
            f"{self.path}, line {number}, is no line of a manifest; name another file with --manifest, or move it away"
        )

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _place_of(photo: Path | RemotePhoto) -> str:
    """Return what a manifest calls a photo: its absolute path, or its address."""
    return os.path.abspath(photo) if isinstance(photo, Path) else str(photo)  # noqa: PTH100 (links keep their names)


def version_of(photo: Path | RemotePhoto) -> Version | None:
    """Return a photo's version as it is now; None where there is no such file, or its address does not say."""
    if isinstance(photo, RemotePhoto):
        if photo.size_bytes is None or photo.modified_ns is None:
            return None
        return photo.size_bytes, photo.modified_ns
    with suppress(OSError):
        status = photo.stat()
        return status.st_size, status.st_mtime_ns
    return None


def _version_in(line: Mapping[str, Any]) -> tuple[Any, Any]:
    return line.get("bytes"), line.get("modified_ns")


def _sha256_of(path: Path) -> str | None:
    with suppress(InputError):
        return sha256_of(path)
    return None
