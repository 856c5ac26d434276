"""How help looks: options in sections, commands in groups, examples last, as wide as the terminal up to a limit."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WIDEST = 100  # columns; longer lines are hard to read

SECTIONS = {
    "Data": "data split reader names crowds skip_broken photos seed examples",
    "Input": (
        "scores marks key kind axes align stretch void confidence labels value_range bands box kept photo_prefix "
        "weights trained calibration ids predictions numbers benchmark recipes"
    ),
    "Results": (
        "output overlay video manifest save_probabilities confusion_file to instances tolerance_px card competition "
        "as_json force keep"
    ),
    "Depth": "depth depth_std depth_scale depth_unknown",
    "Label Studio": "label_studio label_studio_url label_studio_token_file local_files photos_from",
    "Network": "model quality min_confidence variants int8 float16 low_rank strided_msc",
    "CRF": (
        "crf value_std bilateral_weight bilateral_xy_std_px bilateral_std_mm bilateral_rgb_std spatial_weight "
        "spatial_xy_std_px spatial_std_mm iterations normalization crf_settings"
    ),
    "Measures": "objective classes trimap trimap_px boundary_f1 resamples",
    "Videos": "span every cut_threshold side",
    "Limits": "max_upload_mb max_megapixels timeout_s upload_timeout_s connections queue",
    "Work": "hours ray ray_address device threads workers cache_gb smart proposals quick tensorboard",
    "General": "version install_completion show_completion quiet verbose help",
}
"""Sections in their order, each with the names of its options; options of no section come first."""

_SECTION_OF = {name: title for title, names in SECTIONS.items() for name in names.split()}
_KINDS = {"int": "N", "float": "X", "str": "TEXT", "path": "PATH"}  # what stands for a value where nothing else does
_LONGEST = 28  # of what stands in the first column; help begins below what is longer


class Command(TyperCommand):
    """A command whose options stand in sections, and whose docstring's examples stand last."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what must be given, then what may be."""
        return [*_usage(self, ctx), "[OPTIONS]"]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does."""
        _write_text(formatter, _text_and_examples(self)[0])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, in sections of one width."""
        _write_sections(formatter, _sections_of(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(formatter, _text_and_examples(self)[1])


class Group(TyperGroup):
    """A command of commands, which stand in groups."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the commands have in common."""
        _write_text(formatter, _text_and_examples(self)[0])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in groups, then the options."""
        groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, command in self.commands.items():
            summary = re.split(r"[,:.;]", command.help or "", maxsplit=1)[0]
            groups[getattr(command, "rich_help_panel", None) or "Commands"].append((name, summary))
        _write_sections(formatter, groups | _sections_of(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(formatter, _text_and_examples(self)[1])


def _usage(command: Any, ctx: Any) -> list[str]:
    """Return how the arguments, and the options that must be given, are written."""
    pieces = []
    for each in command.get_params(ctx):
        if each.param_type_name == "argument":
            pieces.append(_argument(each) if each.required else f"[{_argument(each)}]")
        elif each.required:
            pieces.append(f"{max(each.opts, key=len)} {each.metavar or each.name.upper()}")
    return pieces


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[]")


def _sections_of(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return the rows of help, each an option with what it means, by section."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], **{title: [] for title in SECTIONS}}
    for each in command.get_params(ctx):
        if each.param_type_name == "argument":
            sections["Arguments"].append((_argument(each), each.help or ""))
        elif record := each.get_help_record(ctx):
            title = _SECTION_OF.get(each.name, "Options")
            sections[title].append((_option(record[0]), _tidied(record[1])))
    return {title: rows for title, rows in sections.items() if rows}


def _option(written: str) -> str:
    """Return an option as help writes it, with N in place of ``<int range>``; long names stand below each other."""
    written = re.sub(r"<(\w+)[^>]*>", lambda kind: _KINDS.get(kind[1].removesuffix("_range"), "VALUE"), written)
    written = written.replace(" / ", ", ")
    return written if re.match(r"-\w\b", written) else f"    {written}"


def _tidied(told: str) -> str:
    """Return an option's help without bounds in formulas, and without a default that says nothing."""
    told = re.sub(r"; (?:\S+<=)?x[<>]=[^\]]*(?=\])|  \[(?:\S+<=)?x[<>]=[^\]]*\]", "", told)
    told = re.sub(r"(; )?required(?=\])|  \[required\]", "", told)
    return told.replace("  [default: .]", "").replace("[default: ", "[default:\N{NO-BREAK SPACE}")


def _write_sections(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    lengths = [len(first) for rows in sections.values() for first, _ in rows]
    width = max(length for length in (*lengths, 0) if length <= _LONGEST)
    for title, rows in sections.items():
        with formatter.section(typer.style(title, bold=True)):
            formatter.write_dl(
                [(typer.style(first.ljust(width), fg="cyan"), told) for first, told in rows], col_max=width
            )


def _text_and_examples(command: Any) -> tuple[str, list[str]]:
    """Return a docstring's text, and the lines of its section of examples."""
    text, _, examples = (command.help or "").partition("\nExamples:\n")
    return text.strip(), [line.strip() for line in examples.splitlines() if line.strip()]


def _write_text(formatter: Any, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_text(text)


def _write_examples(formatter: Any, examples: list[str]) -> None:
    if examples:
        with formatter.section(typer.style("Examples", bold=True)):
            formatter.write("".join(f"  {line}\n" for line in examples))
