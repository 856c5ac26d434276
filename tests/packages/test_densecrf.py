"""The CRF as a distribution of its own, as it is staged; `.ci/packages` builds it and runs these tests on its wheel."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from deeplab import crf

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    spec = importlib.util.spec_from_file_location("densecrf_backend", PACKAGES / "densecrf" / "backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def staged(backend: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("densecrf")
    backend.stage(folder)
    return folder


def imported(path: Path) -> set[str]:
    """The names, absolute, of modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_it_imports_nothing_of_deeplab_and_itself_as_it_is_there(staged: Path) -> None:
    source = staged / "src"
    known = sys.stdlib_module_names | {"numpy", "densecrf"}
    for path in source.rglob("*.py"):
        part = path.relative_to(source).parts
        allowed = known | {"torch", "triton"} if part[1] == "torch" else known
        for module in imported(path):
            assert module.partition(".")[0] in allowed, f"{path} imports {module}"
            if module.startswith("densecrf"):
                place = source.joinpath(*module.split("."))
                assert place.is_dir() or place.with_suffix(".py").is_file(), f"{path} imports {module}"


def test_nothing_in_it_is_called_as_in_deeplab(staged: Path) -> None:
    for path in staged.rglob("*.py"):
        assert re.search(r"deeplab\.(crf|checks|errors)", path.read_text()) is None, path


def test_it_holds_all_that_it_is_built_from(staged: Path) -> None:
    assert sorted(path.name for path in (staged / "native").iterdir()) == sorted(
        path.name for path in (ROOT / "native").iterdir()
    )
    assert (staged / "src" / "densecrf" / "py.typed").is_file()
    assert list(staged.rglob("*.so")) + list(staged.rglob("*.onnx")) + list(staged.rglob("__pycache__")) == []
    settings = (staged / "pyproject.toml").read_text()
    assert 'build-backend = "scikit_build_core.build"' in settings
    assert "backend-path" not in settings


def test_versions_and_what_is_needed_follow_deeplab() -> None:
    def stated(pattern: str, folder: Path) -> list[str]:
        return re.findall(pattern, (folder / "pyproject.toml").read_text(), flags=re.MULTILINE)

    ours = [PACKAGES / "densecrf", PACKAGES / "pydensecrf"]
    for folder in ours:
        for pattern in ('^version = "(.*)"$', '^requires-python = "(.*)"$', '"(scikit-build-core.*?)"'):
            assert stated(pattern, folder) == stated(pattern, ROOT), folder
    for pattern in ('"(numpy.*?)"', '"(nanobind.*?)"', "^torch = (.*)$"):
        assert stated(pattern, ours[0]) == stated(pattern, ROOT)


def test_both_live_in_one_process_and_compute_alike() -> None:
    densecrf = pytest.importorskip("densecrf", reason="needs pip install ./packages/densecrf")
    random = np.random.default_rng(0)
    photo = random.integers(0, 255, (30, 40, 3), np.uint8)
    probabilities = random.dirichlet(np.ones(3), (30, 40)).transpose(2, 0, 1)
    np.testing.assert_array_equal(densecrf.refine(photo, probabilities), crf.refine(photo, probabilities))
    assert densecrf.CRFParams is not crf.CRFParams
    assert densecrf.DenseCRF.__module__ == "densecrf.mean_field"
