"""Messages: one line of bounded length, whatever they quote."""

import pytest

from deeplab.errors import DeepLabError, InputError, quoted


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x00", "\x9b", "\u2028", "\u202e", "\udc80"])
def test_a_message_is_one_line_that_any_terminal_can_show(character: str) -> None:
    said = str(DeepLabError(f"cannot read a{character}b"))
    assert said == f"cannot read a{character.encode('unicode_escape').decode()}b"
    assert said.isprintable()


def test_a_message_keeps_its_beginning_and_its_remedy() -> None:
    said = str(InputError(f"begins {'x' * 10_000_000}; mend it"))
    assert said.startswith("begins x")
    assert said.endswith("x; mend it")
    assert len(said) < 2000


@pytest.mark.parametrize(
    "value",
    [["x" * 10_000] * 10_000, {n: {n: [n]} for n in range(10_000)}, "x" * 10_000, [[[[[[[[[1]]]]]]]]]],
    ids=["list", "mapping", "text", "nested"],
)
def test_values_are_quoted_in_short(value: object) -> None:
    assert len(quoted(value)) < 700


def test_numbers_of_more_digits_than_python_writes_are_quoted() -> None:
    assert quoted([10**6000]) == "[a number of about 5979 digits]"


def test_short_values_are_quoted_as_they_are() -> None:
    for value in (1, 1.5, "a", None, [1, "b"], {"a": (1, 2)}):
        assert quoted(value) == repr(value)
