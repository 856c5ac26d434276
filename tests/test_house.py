"""The rules of the house: who may import whom, what importing costs, and the README's commands."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "deeplab"
TORCH_FREE = {"network", "network.variants"}


def rules() -> dict[str, tuple[set[str], bool]]:
    """The parts of the package → what each may import, and whether PyTorch too."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Who may import whom")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) ?\|$", section, flags=re.MULTILINE)
    return {part: (set(re.findall(r"`([\w.]+)`", allowed)), "PyTorch" in allowed) for part, allowed in rows}


def part_of(module: str, table: Iterable[str]) -> str:
    """The table's smallest part that holds a module, named without `deeplab`; its first name where none does."""
    holders = [part for part in table if f"{module}.".startswith(f"{part}.")]
    return max(holders, key=len, default=module.split(".")[0])


def imported_modules(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def modules() -> dict[str, Path]:
    found = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in found.items() if not name.startswith("__")}


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_what_the_table_allows(module: str) -> None:
    table = rules()
    part = part_of(module, table)
    if part == "cli":
        return
    assert part in table, f"CONTRIBUTING.md's table lacks {part}"
    allowed, torch_allowed = table[part]
    for name in imported_modules(modules()[module]):
        package, _, rest = name.partition(".")
        if package == "torch" or name.startswith("safetensors"):
            assert torch_allowed, f"{module} imports {name}"
            assert module not in TORCH_FREE, f"{module} imports {name}"
        if package == "deeplab":
            assert part_of(rest, table) in allowed | {part}, f"{module} imports {name}"


PARSERS = {
    "json.load": "", "json.loads": "documents", "yaml.load": "yaml_documents", "yaml.safe_load": "",
    "yaml.parse": "yaml_documents", "np.load": "", "np.fromfile": "", "np.loadtxt": "", "np.genfromtxt": "",
    "np.lib.format.read_array": "arrays", "np.lib.format.open_memmap": "arrays", "torch.load": "network.weights",
    "loadmat": "", "csv.reader": "data.roboflow", "csv.DictReader": "", "pickle.load": "",
    "pickle.loads": "batch.cluster", "ElementTree": "documents", "onnx.load": "",
    "expat.ParserCreate": "server.labelling_config",
}  # fmt: skip
"""What parses files → the one module that may call it, within limits and with errors of one line; "": none."""


def test_one_module_parses_each_format() -> None:
    users: dict[str, set[str]] = {name: set() for name in PARSERS}
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute | ast.Name) and (name := ast.unparse(node)) in PARSERS:
                users[name].add(module)
    assert users == {name: {module} - {""} for name, module in PARSERS.items()}


def test_only_packages_and_modules_that_the_documentation_names_list_what_is_public() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    named = {name.removeprefix("deeplab.") for name in re.findall(r"deeplab(?:\.[a-z_0-9]+)+", pages)}
    listing = {name for name, path in modules().items() if re.search(r"^__all__ = ", path.read_text(), re.MULTILINE)}
    packages = {name for name, path in modules().items() if path.name == "__init__.py"}
    assert listing <= named | packages


def test_nothing_imports_the_command_line() -> None:
    importers = {name for name, path in modules().items() if "deeplab.cli" in imported_modules(path)}
    assert importers == set()


def test_importing_deeplab_loads_neither_pytorch_nor_the_runtime() -> None:
    script = "import sys, deeplab; print([m for m in ('torch', 'onnxruntime', 'rich', 'typer') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_workflows_name_actions_by_their_commits() -> None:
    used = [
        line.split("uses:")[1].strip()
        for file in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in file.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_the_readmes_test_command_is_what_ci_runs() -> None:
    readme, script = ((ROOT / name).read_text() for name in ("README.md", ".ci/run"))
    command = "pip install '.[test]' && pytest"
    assert f"```\n{command}\n```" in readme
    assert f"\n{command} || exit" in script
