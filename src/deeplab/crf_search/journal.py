"""The measurements of a CRF search, one line of JSON a piece of work, so that a search that was stopped goes on.

The first line says whose measurements these are. Every other line holds, for one photo, the CRF parameters tried and
the tallies they gave. A line is written in one piece; a last line cut short by a crash is dropped on opening.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFParams
from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, DataError, OutputError
from deeplab.files import check_kept, is_file
from deeplab.json_lines import append_line, cut_off, whole_lines

Key = tuple[str, CRFParams | None]


class Journal:
    """Tallies by photo and CRF parameters, in memory and in a file.

    Args:
        path: the file, made if missing.
        owner: whose measurements these are (model, labels, CRF iterations …), as JSON values.
        shape: of one setting's tallies, (regions, 3, L).
        force: begin anew where the file is another search's, or damaged.

    Raises:
        OutputError: the file is another search's and not `force`, a link, or cannot be written.
        DataError: the file is damaged, and not `force`.
    """

    def __init__(
        self, path: Path, owner: Mapping[str, Any], shape: tuple[int, int, int], *, force: bool = False
    ) -> None:
        check_kept(path)
        self._path = path
        self._shape = shape
        self._known: dict[Key, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}  # labels, and their tallies
        try:
            if is_file(path):
                self._read(owner)
        except (DataError, OutputError):
            if not force:
                raise
            self._known.clear()
            path.unlink()
        if not is_file(path):
            append_line(path, owner)

    def __contains__(self, key: Key) -> bool:
        """Tell whether a photo, by its identity, has been measured under some parameters (None: the network alone)."""
        return key in self._known

    def __getitem__(self, key: Key) -> NDArray[np.int64]:
        """Return what was measured, (regions, 3, L)."""
        labels, found = self._known[key]
        tallies = np.zeros(self._shape, np.int64)
        tallies[..., labels] = found
        return tallies

    def add(self, photo: str, tried: Sequence[CRFParams | None], tallies: NDArray[np.int64]) -> None:
        """Keep what a photo gave, (settings, regions, 3, L), under each of the parameters tried.

        Raises:
            OutputError: the file cannot be written.
        """
        labels = np.flatnonzero(tallies.any(axis=(0, 1, 2)))
        append_line(
            self._path,
            {
                "photo": photo,
                "params": [None if params is None else list(params.to_dict().values()) for params in tried],
                "labels": labels.tolist(),
                "tallies": tallies[..., labels].tolist(),
            },
        )
        self._keep(photo, tried, labels, tallies[..., labels])

    def _keep(
        self, photo: str, tried: Sequence[CRFParams | None], labels: NDArray[np.int64], tallies: NDArray[np.int64]
    ) -> None:
        """Remember tallies (settings, regions, 3, labels); what they take is no more than the file holds."""
        expected = (len(tried), *self._shape[:2], len(labels))
        if tallies.shape != expected or not ((labels >= 0) & (labels < self._shape[2])).all():
            raise ValueError(f"tallies {tallies.shape}, expected {expected}")
        self._known.update({(photo, params): (labels, each) for params, each in zip(tried, tallies, strict=True)})

    def _read(self, owner: Mapping[str, Any]) -> None:
        """Read the file, dropping a last line without its end."""
        lines, torn = whole_lines(self._path.read_bytes())
        first, *others = lines or [b""]
        try:
            if parse_json(first) != parse_json(json.dumps(owner)):
                raise OutputError(
                    f"{self._path} belongs to another search (other scores, labels or CRF settings); give another "
                    "folder, or --force to begin anew"
                )
            for line in others:
                entry = parse_json(line)
                tried = [None if numbers is None else CRFParams(*numbers) for numbers in entry["params"]]
                self._keep(str(entry["photo"]), tried, *(_numbers(entry[part]) for part in ("labels", "tallies")))
            cut_off(self._path, torn)
        except MALFORMED as error:
            raise DataError(f"{self._path} is damaged ({error}); delete it, or --force to begin anew") from None


def _numbers(values: Any) -> NDArray[np.int64]:
    """Whole numbers as an array; a TypeError for any others."""
    array = np.array(values)
    if array.size and array.dtype.kind != "i":
        raise TypeError("its tallies are no whole numbers")
    return array.astype(np.int64)
