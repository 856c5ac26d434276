"""Where a run computes: its device, the processes that ``torchrun`` started, and its loader's threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from deeplab.checks import thread_count
from deeplab.errors import InputError, quoted

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

PATIENCE = timedelta(hours=12)  # for the other processes: storing features and validation may take them long


@dataclass(frozen=True)
class Machine:
    """What a run needs to know beyond its recipe. None of it changes a result, beyond rounding.

    Attributes:
        device: ``"auto"`` (CUDA if there), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        workers: threads that load photos; None: one on the CPU, which has a network to compute, else one a core.
        cache_gb: keep decoded photos in up to so many gigabytes of memory, in each process.
        tensorboard: write scalars for TensorBoard too, into the run's folder.
    """

    device: str = "auto"
    workers: int | None = None
    cache_gb: float = 1.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers must be at least 1, got {self.workers}")
        if not 0 <= self.cache_gb < float("inf"):
            raise InputError(f"cache_gb must be a number of gigabytes, 0 or more, got {self.cache_gb}")


@dataclass(frozen=True)
class Process:
    """One of the processes that share a run: number `rank` of `count`, computing on `device`."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def workers(self, wanted: int | None) -> int:
        """How many threads load photos in this process; see `Machine.workers`."""
        if wanted is not None:
            return wanted
        here = _count_in("LOCAL_WORLD_SIZE", 1)
        return 1 if self.device.type == "cpu" else max(1, thread_count() // here)

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def join(device: str) -> Iterator[Process]:
    """Join the processes that ``torchrun`` started, or stand alone.

    Args:
        device: as `Machine.device`; under ``torchrun``, ``"auto"`` and ``"cuda"`` give each process a GPU of its own.

    Raises:
        InputError: there is no such device.
    """
    local = _count_in("LOCAL_RANK", 0)
    place = _device(device, local)
    if "RANK" not in os.environ:
        yield Process(place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    yield Process(place, distributed.get_rank(), distributed.get_world_size())
    distributed.destroy_process_group()  # not after an error: the others would be waited for


def _count_in(variable: str, otherwise: int) -> int:
    """The whole number in an environment variable that ``torchrun`` sets."""
    said = os.environ.get(variable, str(otherwise))
    if not (said.isascii() and said.isdigit() and len(said) <= 9 and int(said) >= otherwise):
        raise InputError(
            f"the environment variable {variable} is {quoted(said)}; expected a whole number, as torchrun sets it"
        )
    return int(said)


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(f"cuda:{local}" if name == "cuda" else name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}; give auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r} is not supported; give auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {device} is not there: PyTorch sees {torch.cuda.device_count()} GPUs; give cpu")
    return device


def totals(process: Process, values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place."""
    if process.count > 1:
        distributed.all_reduce(values)
    return values


def parallel(network: nn.Module, process: Process) -> nn.Module:
    """Wrap a network so that backward averages gradients over all processes; alone, it is the network itself."""
    if process.count == 1:
        return network
    return DistributedDataParallel(network, gradient_as_bucket_view=True)


def place_of(model: nn.Module) -> torch.device:
    """The device that a network's weights lie on."""
    return next(model.parameters()).device


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Compute in bfloat16 or float16 where that is safe; float32 changes nothing."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
