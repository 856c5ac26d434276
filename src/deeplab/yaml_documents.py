"""YAML read within limits on size, nesting, repetition and numbers: plain values, or one error that says what to mend.

Of YAML's types those of JSON are read. A date is text; tags, which call for other types, are refused.
"""

from __future__ import annotations

import os
from textwrap import shorten
from typing import Any

import yaml

from deeplab.documents import MOST_DIGITS, check_nesting, read_text
from deeplab.errors import InputError

_MOST_BYTES = 200_000  # PyYAML takes some seconds for as much
_MOST_VALUES = 100_000  # each alias counted as all that it stands for
_MOST_LEVELS = 64
_DATE = "tag:yaml.org,2002:timestamp"


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a YAML file.

    Raises:
        InputError: the file cannot be read, is larger than 200 kB, no YAML, has a tag, a whole number of more than
            20 digits, more than 64 levels, or aliases that stand for more than 100,000 values.
    """
    text = read_text(path, most_bytes=_MOST_BYTES)
    try:
        _check_events(text)
        values = yaml.load(text, _Loader)
        check_nesting(values)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number that looks like one, such as 0x_
        said = shorten(" ".join(str(error).split()), 300, placeholder=" …")
        raise InputError(f"{path} is no YAML that is read here: {said}") from None
    return values


def write_yaml(values: Any) -> str:
    """JSON values as YAML text, mappings in their order, which `read_yaml` reads back as they were."""
    text: str = yaml.safe_dump(values, default_flow_style=None, sort_keys=False, allow_unicode=True, width=120)
    return text


def _check_events(text: str) -> None:
    """Refuse what would grow or call for other types, before anything is made of it.

    Raises:
        InputError: there is a tag, or too much nesting or repetition.
        yaml.YAMLError: it is no YAML.
    """
    sizes: dict[str, int] = {}  # of what each anchor stands for, in values
    open_nodes: list[tuple[str | None, int]] = []  # their anchors, and how many values came before each
    values = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        anchor: str | None = getattr(event, "anchor", None)
        tag: str | None = getattr(event, "tag", None)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if tag is not None:
            raise InputError(f"line {line} has the tag {tag[:40]}; leave tags out")
        if isinstance(event, yaml.AliasEvent):
            if anchor not in sizes and any(anchor == name for name, _ in open_nodes):
                raise InputError(f"line {line} repeats a part within itself; write it out")
            values += sizes.get(anchor or "", 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, values))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor or ""] = values - before
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            sizes[anchor or ""] = 1
        if values > _MOST_VALUES:
            raise InputError(f"its aliases stand for more than {_MOST_VALUES:,} values; write out what is needed")
        if len(open_nodes) > _MOST_LEVELS:
            raise InputError(f"nested too deeply; expected at most {_MOST_LEVELS} levels")


class _Loader(yaml.SafeLoader):
    """PyYAML's own, with dates as text and numbers of bounded length."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as its parent declares it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """Return what PyYAML makes of a whole number that is not too long."""
        if len(node.value) > MOST_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number of {len(node.value)} digits", node.start_mark
            )
        return int(self.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole_number)
