"""The machine and the versions that the figures were made with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deeplab.checks import thread_count

_PACKAGES = ("deeplab-crf", "numpy", "onnxruntime", "pillow", "torch", "onnx")


def describe_machine() -> dict[str, str | int]:
    """Return the processor, how many of its cores may be used, memory in gigabytes where known, and the system."""
    facts: dict[str, str | int] = {
        "processor": _processor(),
        "cores": thread_count(None),
        "system": f"{platform.system()} ({platform.machine()})",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_gb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9)
    return facts


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
