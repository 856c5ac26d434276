"""README.zh-CN.md says what README.md says: the same commands, code, names, figures and links, in the same sections."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _without_comments(code: str) -> str:
    return re.sub(r"[ ]*#.*", "", code)


def _blocks(text: str) -> list[str]:
    return [_without_comments(block) for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)]


def _prose(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _names(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`]+)`", _prose(text)))


def _figures(text: str) -> Counter[str]:
    words = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", " ", _prose(text))
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", words))


def _links(text: str) -> Counter[str]:
    return Counter(re.findall(r"\]\(([^)]+)\)", text)) - Counter(["README.md", "README.zh-CN.md"])


def _sections(text: str) -> int:
    return len(re.findall(r"^#+ ", _prose(text), flags=re.MULTILINE))


@pytest.mark.parametrize("part", [_blocks, _names, _figures, _links, _sections])
def test_both_readmes_agree(part: Callable[[str], object]) -> None:
    assert part((ROOT / "README.zh-CN.md").read_text()) == part((ROOT / "README.md").read_text())
