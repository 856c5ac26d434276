"""Names files: the classes of one's own data, and which stored values or classes of the layout become each of them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from deeplab.data.lists import read_text
from deeplab.errors import DataError, InputError
from deeplab.labels import LABEL_SETS, LabelSet

__all__ = ["NAMES_FILE", "read_names"]

NAMES_FILE = "classes.txt"
"""The names file in a data set's folder, which applies unless another is given."""

VOID = "void"
REST = "*"


def read_names(path: Path, values: Mapping[str, int], *, by_name: bool) -> tuple[LabelSet, bytes]:
    """Read a names file: one class a line, the first of them label 0.

    ``rust: 3, 7`` says which values the masks store for a class, ``animal: cat, dog`` which classes of the layout
    become it, and ``other: *`` that it takes all that no line names. A class alone stands for its own number, or, in
    layouts that tell classes apart by name, for the class of that name. The line ``void: 0`` says what belongs to no
    class; without such a line it is 255. Lines that begin with ``#`` are comments.

    Args:
        path: the names file.
        values: the layout's own names of classes → the values that its masks store for them.
        by_name: whether a class alone stands for the layout's class of that name.

    Returns:
        The label set, a built-in one where the classes are just its classes, and 256 bytes: entry i is the label that
        stored value i becomes; a value without meaning becomes one that is neither a label nor void.

    Raises:
        DataError: the file cannot be read, a line names a value or class that does not exist, or one that another line
            has, or the names make no label set.
    """
    lines = [line for line in read_text(path).rstrip().splitlines() if not line.startswith("#")]
    entries = [(name.strip(), given.strip()) for name, _, given in (line.partition(":") for line in lines)]
    names = [name for name, _ in entries if name != VOID]
    try:
        label_set = LabelSet("own", tuple(names))
    except InputError as error:
        raise DataError(f"{path}: {error}; give one class name a line") from None
    label_set = next((known for known in LABEL_SETS.values() if known.names == label_set.names), label_set)
    void = label_set.void

    owner: dict[int, str] = {}
    rest = _no_label(label_set)
    for name, given in entries:
        label = void if name == VOID else names.index(name)
        alone = name if by_name else str(label)
        for item in (part.strip() for part in (given or alone).split(",")):
            if item == REST:
                rest = label
                continue
            value = _value(path, item, values)
            if owner.setdefault(value, name) != name:
                raise DataError(f"{path} gives {item!r} to both {owner[value]!r} and {name!r}; give it to one of them")
    labels = {value: void if name == VOID else names.index(name) for value, name in owner.items()}
    if all(name != VOID for name, _ in entries):
        labels.setdefault(255, void)
    return label_set, bytes(labels.get(value, rest) for value in range(256))


def _no_label(label_set: LabelSet) -> int:
    """A value that is neither a label nor void; void itself where there is none left."""
    return next((value for value in range(255, len(label_set) - 1, -1) if value != label_set.void), label_set.void)


def _value(path: Path, item: str, values: Mapping[str, int]) -> int:
    if item in values:
        return values[item]
    if item.isascii() and item.isdigit() and int(item) <= 255:
        return int(item)
    near = get_close_matches(item, values, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"the classes there are {', '.join(values) or 'without names'}"
    raise DataError(f"{path}: {item!r} is neither a stored value, 0–255, nor a class of this data set; {known}")
