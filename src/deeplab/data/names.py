"""Names files: the classes of one's own data, and which stored values or classes of the layout become each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deeplab.checks import did_you_mean
from deeplab.data.lists import read_text
from deeplab.errors import DataError, InputError, quoted
from deeplab.labels import LABEL_SETS, LabelSet

NAMES_FILE = "classes.txt"
"""The names file in a data set's folder, which applies unless another is given."""

VOID = "void"
REST = "*"
NONE, OWN = "none", "own"

_SETTING = re.compile(r"\s*(background|numbers)\s*=([^:]*)")


def read_names(path: Path, values: Mapping[str, int], *, by_name: bool) -> tuple[LabelSet, bytes]:
    """Read a names file: one class a line, the first of them label 0.

    ``rust: 3, 7`` says which values the masks store for a class, ``animal: cat, dog`` which classes of the layout
    become it, and ``other: *`` that it takes all that no line names. A class alone stands for the layout's class of its
    name. In layouts that tell classes apart by number it stands for its own number instead, as long as no line means a
    class of the layout that has another number; and a line that gives a class of the layout another number than it has
    there is an error. The line ``numbers = own`` says that the masks' numbers are not the layout's. ``void: 0`` says
    what belongs to no class; without it that is 255. ``background = soil`` says which class is the background,
    ``background = none`` that there is none; without such a line a usual name tells (see `LabelSet`). Lines that begin
    with ``#`` are comments.

    Args:
        path: the names file.
        values: the layout's own names of classes → the values that its masks store for them.
        by_name: whether the layout tells classes apart by name alone.

    Returns:
        The label set, a built-in one where the classes are just its classes, and 256 bytes: entry i is the label that
        stored value i becomes; a value without meaning becomes one that is neither a label nor void.

    Raises:
        DataError: the file cannot be read, a line names a value or class that does not exist, or one that another line
            has, or the names make no label set.
    """
    lines = [line for line in read_text(path).rstrip().splitlines() if not line.startswith("#")]
    settings = [(found[1], found[2].strip()) for line in lines if (found := _SETTING.fullmatch(line))]
    lines = [line for line in lines if not _SETTING.fullmatch(line)]
    entries = [(name.strip(), given.strip()) for name, _, given in (line.partition(":") for line in lines)]
    names = [name for name, _ in entries if name != VOID]
    label_set = _label_set(path, names, [said for key, said in settings if key == "background"])
    void = label_set.void
    if _numbers_are_own(path, [said for key, said in settings if key == "numbers"]) and not by_name:
        values = {}

    owner: dict[int, str] = {}
    rest = _no_label(label_set)
    meant = None if by_name else _meant_by_name(entries, names, values)
    for name, given in entries:
        label = void if name == VOID else names.index(name)
        alone = name if by_name or meant else str(label)
        for item in (part.strip() for part in (given or alone).split(",")):
            if item == REST:
                rest = label
                continue
            value = _value(path, item, values, "" if given or not meant else _unless_own(meant))
            if owner.setdefault(value, name) != name:
                raise DataError(f"{path} gives {item!r} to both {owner[value]!r} and {name!r}; give it to one of them")
    _check_numbers(path, entries, values, owner, by_name)
    labels = {value: void if name == VOID else names.index(name) for value, name in owner.items()}
    if all(name != VOID for name, _ in entries):
        labels.setdefault(255, void)
    return label_set, bytes(labels.get(value, rest) for value in range(256))


def _label_set(path: Path, names: list[str], backgrounds: list[str]) -> LabelSet:
    """The set of these names; `backgrounds` is what the lines about the background say."""
    try:
        label_set = LabelSet("own", tuple(names))
    except InputError as error:
        raise DataError(f"{path}: {error}; give one class name a line") from None
    for said in backgrounds:
        if said not in (*names, NONE):
            raise DataError(f"{path} says that {said!r} is the background; expected one of its classes, or {NONE!r}")
        label_set = replace(label_set, background=names.index(said) if said in names else None)
    mine = (label_set.names, label_set.background)
    return next((known for known in LABEL_SETS.values() if (known.names, known.background) == mine), label_set)


def _meant_by_name(entries: list[tuple[str, str]], names: list[str], values: Mapping[str, int]) -> str | None:
    """The first class of the layout that some line means, where it is not its own number; None where there is none."""
    alone = (name for name, given in entries if name in values and not given and values[name] != names.index(name))
    listed = (item.strip() for _, given in entries for item in given.split(","))
    return next(alone, None) or next((item for item in listed if item in values), None)


def _unless_own(meant: str) -> str:
    return f"; {meant!r} is one, so names alone mean classes: say 'numbers = own' if the masks' numbers are your own"


def _numbers_are_own(path: Path, said: list[str]) -> bool:
    for what in said:
        if what != OWN:
            raise DataError(f"{path} says 'numbers = {what}'; expected 'numbers = {OWN}', or no such line")
    return bool(said)


def _check_numbers(
    path: Path, entries: list[tuple[str, str]], values: Mapping[str, int], owner: Mapping[int, str], by_name: bool
) -> None:
    """Check that a class of the layout is not given the numbers of others alone."""
    for name, given in entries:
        numbers = [item for item in (part.strip() for part in given.split(",")) if item.isdigit()]
        if numbers and name in values and owner.get(values[name]) != name and REST not in given:
            meant = next((repr(known) for known, value in values.items() if value == int(numbers[0])), "no class")
            remedy = "" if by_name else f", or add 'numbers = {OWN}' if the masks' numbers are your own"
            raise DataError(
                f"{path} gives {name!r} the number {numbers[0]}, which is {meant} in this data set, where {name!r} "
                f"is {values[name]}; write {name!r} alone{remedy}"
            )


def _no_label(label_set: LabelSet) -> int:
    """A value that is neither a label nor void; void itself where there is none left."""
    return next((value for value in range(255, len(label_set) - 1, -1) if value != label_set.void), label_set.void)


def _value(path: Path, item: str, values: Mapping[str, int], remedy: str) -> int:
    if item in values:
        return values[item]
    if item.isascii() and item.isdigit() and len(item) <= 20 and int(item) <= 255:
        return int(item)
    known = did_you_mean(item, values) or f"the classes there are {', '.join(values) or 'without names'}"
    raise DataError(
        f"{path}: {quoted(item)} is neither a stored value, 0–255, nor a class of this data set; {known}{remedy}"
    )
