"""The outcome of `deeplab.data.check.check_data` as text for people and as JSON values."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from deeplab.data.check import DataReport, Finding
from deeplab.data.inspection import KINDS
from deeplab.data.readers import READERS


def format_report(report: DataReport, examples: int = 3) -> str:
    """Lay a report out as text: what the folder was taken for, the findings by kind, and how often classes occur.

    Args:
        report: what `check_data` returned.
        examples: how many files to name for each kind of finding.
    """
    classes = f"{len(report.label_set)} classes of {report.names or f'{report.label_set.name!r}'}"
    background = report.label_set.background
    around = "no background" if background is None else f"background {report.label_set.names[background]!r}"
    photos = ", ".join(f"{split} {count.photos:,}" for split, count in report.splits.items())
    lines = [
        f"{report.root}: taken for {READERS[report.reader].title} (--reader {report.reader}), {classes}, "
        f"void {report.label_set.void}, {around}",
        f"photos: {photos}",
        "",
    ]
    for kind, group in groupby(report.findings, key=lambda finding: finding.kind):
        lines += _format_kind(kind, list(group), report.root, examples)
    lines += [*_class_table(report), ""]
    kinds = {finding.kind for finding in report.problems}
    if kinds:
        lines.append(f"{len(report.problems):,} problems: {', '.join(k.title for n, k in KINDS.items() if n in kinds)}")
    else:
        lines.append("no problems")
    return "\n".join(lines)


def to_json(report: DataReport) -> dict[str, Any]:
    """Return a report as JSON values: every finding, and the pixels and photos of every class by split."""
    label_set = report.label_set
    labels = {**dict(zip(label_set.names, range(len(label_set)), strict=True)), "void": label_set.void}
    return {
        "root": str(report.root),
        "reader": report.reader,
        "names": None if report.names is None else str(report.names),
        "label_set": label_set.to_dict(),
        "problems": len(report.problems),
        "findings": [
            {**finding._asdict(), "file": str(finding.file), "problem": KINDS[finding.kind].problem}
            for finding in report.findings
        ],
        "splits": {
            split: {
                "photos": count.photos,
                "classes": {
                    name: {"pixels": int(count.pixels[label]), "photos": int(count.shown[label])}
                    for name, label in labels.items()
                },
            }
            for split, count in report.splits.items()
        },
    }


def _format_kind(kind: str, findings: list[Finding], root: Path, examples: int) -> list[str]:
    title, advice, problem = KINDS[kind]
    lines = [f"{'problem' if problem else 'note'}: {title}, {len(findings):,}: {advice}"]
    for finding in findings[:examples]:
        file = finding.file.relative_to(root) if finding.file.is_relative_to(root) else finding.file
        parts = [finding.split, "" if finding.file == root else str(file), finding.name, finding.detail]
        if finding.file.name.startswith(finding.name):  # as nearly always
            parts[2] = ""
        lines.append("  " + ": ".join(part for part in parts if part))
    if len(findings) > examples:
        lines.append(f"  … and {len(findings) - examples:,} more")
    return [*lines, ""]


def _class_table(report: DataReport) -> list[str]:
    """How often every class occurs: its share of the labelled pixels, and in how many photos it is; void's of all."""
    label_set = report.label_set
    header = ["class"]
    rows = [[name] for name in (*label_set.names, "void")]
    for split, count in report.splits.items():
        header += [f"{split} px %", "photos"]
        everything = int(count.pixels.sum())
        labelled = everything - int(count.pixels[label_set.void])
        for label, row in zip((*range(len(label_set)), label_set.void), rows, strict=True):
            whole = everything if label == label_set.void else labelled
            share = 100 * int(count.pixels[label]) / whole if whole else 0.0
            row += [f"{share:.2f}", f"{count.shown[label]:,}"]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in (header, *rows)
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
