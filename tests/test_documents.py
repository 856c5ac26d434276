"""Text, JSON and YAML from anyone: plain values, or one short error, soon."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from deeplab.documents import check_nesting, parse_json, read_json, read_text
from deeplab.errors import InputError
from deeplab.yaml_documents import read_yaml


def refusal(path: Path) -> str:
    reader = read_yaml if path.suffix == ".yaml" else read_json
    with pytest.raises(InputError) as caught:
        reader(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", ["{}", "[1, -2.5, null, true, 18446744073709551615]", '{"a": ["\\ud83d\\ude00 ä"]}']
)
def test_json_is_read_as_the_standard_library_reads_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8-sig")
    assert read_json(path) == json.loads(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 65 + "]" * 65, "nested too deeply; expected at most 64"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "a number has 5000 digits"),
        ("[" + "9" * 21 + "]", "a number has 21 digits"),
        (r'["\ud800"]', "half a character"),
        (r'["\udc80\ud800"]', "half a character"),
    ],
)
def test_json_that_could_do_harm_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    message = refusal(path)
    assert str(path) in message
    assert said in message
    assert len(message) < 1000


def test_64_levels_of_json_are_read() -> None:
    assert parse_json("[" * 64 + "]" * 64)
    check_nesting({"a": [{}]})


def test_names_that_are_no_utf_8_survive_where_they_are_wanted() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    assert parse_json(json.dumps(name), halves=True) == name
    assert parse_json(rb'"\\ud800"') == r"\ud800"  # a backslash, not half a character


def test_files_are_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    assert read_text(path, most_bytes=5) == "12345"
    with pytest.raises(InputError, match="has more than 4e-06 MB"):
        read_text(path, most_bytes=4)
    with pytest.raises(InputError, match="has more than"):
        read_text("/dev/zero")


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing", "No such file"), ("a" * 300, "name too long"), ("a\0b", "null byte"), (".", "directory")],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_text(tmp_path / name)


def test_text_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("ä".encode("latin-1"))
    with pytest.raises(InputError, match="is no UTF-8 text"):
        read_text(path)


@pytest.mark.parametrize(
    "content", ["", "a: 1", "- 2e-4\n- 1.5\n- ~\n- yes", "a: &x {b: [1, 2]}\nc: *x\nd: {<<: *x, e: 0x1F}", "5: five"]
)
def test_yaml_is_read_as_pyyaml_reads_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    assert read_yaml(path) == yaml.safe_load(content)


def test_a_date_in_yaml_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 2015-06-07\nb: 2015-13-99")
    assert yaml.safe_load("2015-06-07") == date(2015, 6, 7)
    assert read_yaml(path) == {"a": "2015-06-07", "b": "2015-13-99"}


LAUGHS = "a0: &a0 [" + ", ".join(["lol"] * 9) + "]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "no YAML"),
        (LAUGHS, "aliases stand for more than 100,000 values"),
        ("a: &a [*a]", "within itself"),
        ("a: *nothing", "no YAML"),
        ("[" * 10_000, "nested too deeply"),
        ("- " * 10_000, "nested too deeply"),
        ("".join(f"- &a{n} [*a{n - 1}]\n" if n else "- &a0 []\n" for n in range(80)), "nested too deeply"),
        ("a: !!python/object/apply:os.system [ls]", "has the tag tag:yaml.org,2002:python/object/apply:os"),
        ("\na: !!timestamp never", "line 2 has the tag"),
        (f"a: !{'t' * 5000} 1", "has the tag"),
        ("a: " + "9" * 5000, "a number of 5000 digits"),
        ("a: 0x" + "f" * 50_000, "a number of 50002 digits"),
        ("a: 0x_", "no YAML"),
        ("? [a]\n: 1", "no YAML"),
        ("a: \x00", "no YAML"),
        ("a: " + "b" * 300_000, "has more than 0.2 MB"),
    ],
)
def test_yaml_that_could_do_harm_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    message = refusal(path)
    assert str(path) in message
    assert said in message
    assert len(message) < 1000
