"""Support for `torch.compile`."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """Have `torch.compile` call a function as it is: lattices depend on the data, and no graph holds them."""
    return torch.compiler.disable(function)  # type: ignore[no-untyped-call,no-any-return]
