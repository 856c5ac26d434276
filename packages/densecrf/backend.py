"""Builds the distribution densecrf: deeplab's CRF, of the same sources, as a package of its own.

It stages a whole project in a folder, the CRF's modules under their new name beside the native core, and lets
scikit-build-core build that. The source distribution is of the staged project, which builds without this file.

    python packages/densecrf/backend.py FOLDER

stages the project in FOLDER, to look at it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["build_sdist", "build_wheel", "get_requires_for_build_sdist", "get_requires_for_build_wheel", "stage"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

MODULES = {"deeplab.crf": "densecrf", "deeplab.checks": "densecrf.plain_checks", "deeplab.errors": "densecrf.errors"}
"""The modules of deeplab that are taken, and what they are called here; a package stands for all in it."""

OURS = 'build-backend = "backend"\nbackend-path = ["."]'
THEIRS = 'build-backend = "scikit_build_core.build"'


def stage(folder: Path) -> None:
    """Write the project into an empty folder: modules, native core, tests, and what it takes to build them."""
    package = folder / "src" / "densecrf"
    unbuilt = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(ROOT / "src" / "deeplab" / "crf", package, ignore=unbuilt)
    for module, name in MODULES.items():
        source = ROOT.joinpath("src", *module.split(".")).with_suffix(".py")
        if source.is_file():
            shutil.copy(source, folder.joinpath("src", *name.split(".")).with_suffix(".py"))
    shutil.copytree(ROOT / "tests" / "crf", folder / "tests", ignore=unbuilt)
    shutil.copytree(HERE / "tests", folder / "tests", ignore=unbuilt, dirs_exist_ok=True)
    for path in (*package.rglob("*.py*"), *folder.joinpath("tests").rglob("*.py")):
        path.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
    (package / "py.typed").touch()
    shutil.copytree(ROOT / "native", folder / "native")
    for file in (ROOT / "CMakeLists.txt", ROOT / "LICENSE", HERE / "README.md"):
        shutil.copy(file, folder)
    settings = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(settings.replace(OURS, THEIRS), encoding="utf-8")


def renamed(text: str) -> str:
    """Return Python with the names of deeplab's modules replaced by those here."""
    for module, name in MODULES.items():
        text = re.sub(rf"\b{re.escape(module)}\b", name, text)
    return text


@contextmanager
def _staged() -> Iterator[Any]:
    """Be in the staged project, and yield what builds it."""
    import scikit_build_core.build as builder

    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield builder
        finally:
            os.chdir(before)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what else building a wheel needs here, such as CMake (PEP 517)."""
    with _staged() as builder:
        return list(builder.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    """Return what else a source distribution needs here (PEP 517)."""
    with _staged() as builder:
        return list(builder.get_requires_for_build_sdist(config_settings))


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    """Build a wheel into a folder and return its name (PEP 517)."""
    target = str(Path(wheel_directory).resolve())
    with _staged() as builder:
        return str(builder.build_wheel(target, config_settings))


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Write the source distribution into a folder and return its name (PEP 517)."""
    target = str(Path(sdist_directory).resolve())
    with _staged() as builder:
        return str(builder.build_sdist(target, config_settings))


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
