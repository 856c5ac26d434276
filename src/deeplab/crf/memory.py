"""The memory that a large photo needs against what there is: better refused in one line than ended by the system."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIMITS_OF_THE_GROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_ADDRESSABLE = 1 << 47  # what a process can name

_WORTH_A_LOOK = 1 << 26  # 64 MiB; asking the system takes as long as the CRF of a small photo


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError where `needed` bytes for `what` are more than this process can get; `remedy` is what to do."""
    if needed < _WORTH_A_LOOK:
        return
    available = available_bytes()
    if needed > available:
        raise MemoryError(
            f"{what} needs at least {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB are available: {remedy}"
        )


@contextmanager
def memory_for(needed: int, what: str, remedy: str) -> Iterator[None]:
    """Do a block of work that needs at least `needed` bytes; say so where they are not there, before or within it."""
    check_memory(needed, what, remedy)
    try:
        yield
    except MemoryError:
        raise MemoryError(
            f"{what} needs at least {needed / 1e9:.1f} GB of memory, and more was needed than the "
            f"{available_bytes() / 1e9:.1f} GB that are available: {remedy}"
        ) from None


def available_bytes(
    meminfo: Path = Path("/proc/meminfo"),
    limits: tuple[Path, ...] = _LIMITS_OF_THE_GROUP,
    process: Path = Path("/proc/self"),
) -> int:
    """Return the most bytes that this process can hope for.

    On Linux what is unused or can be given back, up to the limit of its control group, and the free swap; and no more
    than its own limit (`ulimit -v`) leaves. Elsewhere, where nothing says, as much as it can address.
    """
    found = {name: int(kilobytes) << 10 for name, kilobytes in re.findall(r"(\w+):\s+(\d+) kB", _read(meminfo))}
    texts = [_read(limit).strip() for limit in limits]
    memory = min([found.get("MemAvailable", _ADDRESSABLE), *(int(text) for text in texts if text.isdecimal())])
    return min(memory + found.get("SwapFree", 0), _addressable(process))


def _addressable(process: Path) -> int:
    """Return how much more a process may map by its own limit."""
    limit = re.search(r"^Max address space +(\d+)", _read(process / "limits"), re.MULTILINE)
    used = re.search(r"^VmSize:\s+(\d+) kB", _read(process / "status"), re.MULTILINE)
    if limit is None or used is None:
        return _ADDRESSABLE
    return max(0, int(limit[1]) - (int(used[1]) << 10))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
