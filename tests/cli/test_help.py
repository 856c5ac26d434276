"""Help: every command has one, in sections, with examples that hold, in lines no wider than the terminal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer

from deeplab.cli import app
from deeplab.cli.help import SECTIONS

Run = Callable[..., Any]

GROUP: Any = typer.main.get_command(app)
COMMANDS = {(name,): command for name, command in GROUP.commands.items()}
COMMANDS |= {("recipes", name): command for name, command in GROUP.commands["recipes"].commands.items()}
EXAMPLES = [
    re.split(r"   +| > | \| ", line.strip())[0]
    for command in (GROUP, *COMMANDS.values())
    for line in command.help.partition("Examples:\n")[2].splitlines()
    if line.strip()
]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_help_fits_the_terminal(
    run: Run, words: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, err = run(*words, "-h")
    assert (status, err) == (0, "")
    assert out == run(*words, "--help").out
    assert out.startswith(f"Usage: deeplab {' '.join(words)}".strip())
    assert "\nExamples:\n" in out
    assert max(map(len, out.splitlines())) <= min(columns, 100)
    assert not re.search(r"<\w+|\[required|x>=", out)  # the parser's own notation


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_understood(example: str) -> None:
    program, *words = shlex.split(example)
    assert program == "deeplab"
    context = GROUP.make_context("deeplab", words[:1], resilient_parsing=words[0].startswith("-"))
    if words[0] in GROUP.commands:
        command = GROUP.commands[words[0]]
        command.make_context(words[0], words[1:], parent=context).close()


def test_options_that_belong_together_stand_together(run: Run) -> None:
    sections = re.split(r"\n\n(?=[A-Z]\w+.*:\n)", run("segment", "-h").out)
    titles = [section.splitlines()[0].rstrip(":") for section in sections[1:]]
    assert titles == ["Arguments", "Input", "Results", "Network", "CRF", "Videos", "Work", "General", "Examples"]
    assert "--bilateral-xy-std-px" in sections[titles.index("CRF") + 1]


def test_every_option_in_a_section_is_one_of_a_command() -> None:
    known = {each.name for command in (GROUP, *COMMANDS.values()) for each in command.params} | {"help"}
    assert not {name for names in SECTIONS.values() for name in names.split()} - known
