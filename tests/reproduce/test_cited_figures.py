"""The figures that the documentation cites of runs whose reports lie beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
REPORTS = ROOT / "docs" / "reports"


def networks(report: str) -> dict[str, dict[str, Any]]:
    return {network["title"]: network for network in json.loads((REPORTS / report).read_text())["networks"]}


def percent(estimate: list[float], sign: str, digits: int) -> str:
    value, low, high = (100 * number for number in estimate)
    return f"{value:{sign}.{digits}f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def test_the_table_of_fields_of_view_is_the_reports() -> None:
    table = (ROOT / "docs" / "reproduce.md").read_text().split("\n## The field of view\n")[1]
    rows = {
        row[0]: row[1:] for row in (line.strip("| ").split(" | ") for line in table.splitlines() if "px | " in line)
    }
    found = networks("camvid-field-of-view.json")
    assert rows.keys() == found.keys()
    for title, network in found.items():
        crf = network["crf"]["params"]
        assert rows[title][1:] == [
            f"{network['field_of_view_px']} px",
            f"{network['parameters'] / 1e6:.1f} M",
            percent(network["network"]["mean_iou"], "", 2),
            percent(network["network + CRF"]["mean_iou"], "", 2),
            percent(network["gain"]["mean_iou"], "+", 2),
            percent(network["gain within 5 px of borders"]["mean_iou"], "+", 2),
            "/".join(f"{crf[f'bilateral_{name}']:g}" for name in ("weight", "xy_std_px", "rgb_std")),
        ]


@pytest.mark.parametrize("report", ["camvid.json", "camvid-field-of-view.json"])
def test_the_pages_show_the_same_figures(report: str) -> None:
    page = (REPORTS / report).with_suffix(".html").read_text()
    for network in networks(report).values():
        for way in ("network", "network + CRF"):
            assert f"<strong>{100 * network[way]['mean_iou'][0]:.2f}</strong>" in page
