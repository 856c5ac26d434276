"""The page is well-formed, complete, whole in one file, and says what its content says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from deeplab.errors import DataError
from deeplab.report.content import Report
from deeplab.report.content import read as read_content
from deeplab.report.page import render_page

VOID = {"br", "img", "meta", "col"}
LOADING = {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}


class Reader(HTMLParser):
    """Checks that tags nest, and collects what there is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if {"th", "td"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for name, attributes in self.tags if name == tag)


def read_report(content: dict[str, Any]) -> Report:
    return read_content(Report, json.loads(json.dumps(content)))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(content: dict[str, Any], tmp_path: Path) -> str:
    return render_page(read_report(content), tmp_path)


def test_the_page_is_well_formed_and_every_name_is_escaped(page: str) -> None:
    reader = read(page)
    assert not list(reader.all("script"))
    assert '<script>alert("&")</script>' in "".join(reader.words)
    assert page.startswith("<!DOCTYPE html>")
    assert next(reader.all("html"))["lang"] == "en"
    assert len(list(reader.all("h1"))) == 1


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    for tag, attributes in read(page).tags:
        assert tag not in ("link", "iframe", "object", "script")
        for key in LOADING & attributes.keys():
            assert re.match(r"(data:image/(png|jpeg);base64,|#)", attributes[key]), (tag, attributes[key][:60])
    assert "@import" not in page
    assert "url(" not in page


def test_links_lead_somewhere_and_pictures_have_words(page: str) -> None:
    reader = read(page)
    places = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = [attributes["href"] for attributes in reader.all("a")]
    assert len(links) == 10
    assert all(link.removeprefix("#") in places for link in links)
    images = list(reader.all("img"))
    assert len(images) == 2 * (5 + 6)
    assert all(image["alt"] for image in images)
    charts = [attributes for attributes in reader.all("svg") if attributes.get("class") == "chart"]
    assert len(charts) == 2
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_tables_have_headings_and_as_many_cells_in_every_row(page: str) -> None:
    reader = read(page)
    assert len(reader.tables) >= 9
    for rows in reader.tables:
        assert len({len(row) for row in rows}) == 1, rows[0]
    assert len(list(reader.all("caption"))) == len(reader.tables)


def test_table_1_holds_the_contents_figures(page: str, content: dict[str, Any]) -> None:
    head, *rows = read(page).tables[0]
    assert head[:4] == ["network", "mean IoU", "published", "pixel accuracy"]
    assert len(rows) == len(content["table1"])
    for cells, row in zip(rows, content["table1"], strict=True):
        figures = row["figures"]["mean_iou"]
        assert cells[1].startswith(f"{100 * figures['value']:.2f} [")
        difference = f"{100 * figures['difference']:+.2f}".replace("-", "−")
        assert cells[2] == f"{100 * figures['published']:.2f}{difference}"


def test_quick_is_said_loudly_and_only_then(content: dict[str, Any], tmp_path: Path, page: str) -> None:
    assert "QUICK" not in page
    loud = "".join(read(render_page(read_report({**content, "quick": True}), tmp_path)).words)
    assert loud.count("QUICK") == 2  # in the title and above all figures
    assert "The figures mean nothing" in loud


def test_a_missing_picture_is_an_error(content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "largefov" / "map.png").unlink()
    with pytest.raises(DataError, match=r"cannot read .*map\.png"):
        render_page(read_report(content), tmp_path)


def test_the_papers_curves_stand_beside_ours_on_voc(content: dict[str, Any], tmp_path: Path, page: str) -> None:
    assert "paper: DeepLab-CRF" not in page
    content["benchmark"], content["data"]["trimap_around"] = "voc2012", "void"
    assert "paper: DeepLab-CRF" in render_page(read_report(content), tmp_path)


def test_a_report_comes_back_from_its_json(content: dict[str, Any]) -> None:
    report = read_report(content)
    assert read_report(asdict(report)) == report
    assert report.networks[1].search.crf.params["xy"] == 50
    assert read_report({**content, "more": 1}) == report
    del content["networks"][0]["speed"]["photos"]
    with pytest.raises(KeyError, match="photos"):
        read_report(content)
