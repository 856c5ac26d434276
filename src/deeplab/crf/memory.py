"""The memory that a large photo needs against what there is: better refused in one line than ended by the system."""

import re
from pathlib import Path

__all__ = ["available_bytes", "check_memory"]

_LIMITS_OF_THE_GROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_ADDRESSABLE = 1 << 47  # what a process can name


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError where `needed` bytes for `what` are more than this process can get; `remedy` is what to do."""
    available = available_bytes()
    if needed > available:
        raise MemoryError(
            f"{what} needs at least {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB are available: {remedy}"
        )


def available_bytes(meminfo: Path = Path("/proc/meminfo"), limits: tuple[Path, ...] = _LIMITS_OF_THE_GROUP) -> int:
    """Return the most bytes that this process can hope for.

    On Linux what is unused or can be given back, up to the limit of its control group, and the free swap. Elsewhere,
    where nothing says, as much as it can address.
    """
    found = {name: int(kilobytes) << 10 for name, kilobytes in re.findall(r"(\w+):\s+(\d+) kB", _read(meminfo))}
    texts = [_read(limit).strip() for limit in limits]
    memory = min([found.get("MemAvailable", _ADDRESSABLE), *(int(text) for text in texts if text.isdecimal())])
    return memory + found.get("SwapFree", 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
