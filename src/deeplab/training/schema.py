"""YAML values checked against dataclasses, key by key, so that a recipe's typing error is named and not trained."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from deeplab.checks import did_you_mean
from deeplab.errors import InputError, quoted


def build(kind: Any, value: Any, where: str) -> Any:
    """Check a value read from YAML against a type and convert it.

    Args:
        kind: a dataclass, ``tuple[X, ...]``, ``dict[str, X]``, a literal, a scalar, or a union of these.
        value: as PyYAML gives it.
        where: what errors call it.

    Raises:
        InputError: a key is unknown (the nearest valid one is named) or missing, or a value has the wrong type.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _build_union(parts, value, where)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list, got {quoted(value)}")
        return tuple(build(parts[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a mapping of names to values, got {quoted(value)}")
        return {build(str, key, where): build(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal:
        if value not in parts:
            raise InputError(f"{where} must be one of {', '.join(parts)}, got {quoted(value)}")
        return value
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-4 as text
        except (OverflowError, TypeError, ValueError):
            pass
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputError(
        f"{where} must be {'a number' if kind is float else f'of type {kind.__name__}'}, got {quoted(value)}"
    )


def _build_union(parts: tuple[Any, ...], value: Any, where: str) -> Any:
    """None where that is allowed; a list goes to the tuple among the parts, anything else to the first."""
    if value is None and type(None) in parts:
        return None
    lists = [part for part in parts if get_origin(part) is tuple]
    return build(lists[0] if isinstance(value, list) and lists else parts[0], value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping of keys to values, got {quoted(value)}")
    known = {entry.name: entry for entry in fields(kind)}
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known) or f"choose one of {', '.join(known)}"
            raise InputError(f"{where} has an unknown key {quoted(key)}; {hint}")
    for name, entry in known.items():
        if name not in value and entry.default is MISSING and entry.default_factory is MISSING:
            raise InputError(f"{where} lacks the key {name!r}")
    hints = get_type_hints(kind)
    return kind(**{str(key): build(hints[str(key)], item, f"{where}.{key}") for key, item in value.items()})
