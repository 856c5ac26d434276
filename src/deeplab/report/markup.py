"""HTML and SVG from Python values: text is escaped unless it is `Html` already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

_WITHOUT_END = frozenset({"br", "img", "meta", "col"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Cell: TypeAlias = str
"""What stands in a table: plain text, or `Html`."""


def tag(name: str, /, *children: str, **attributes: object) -> Html:
    """Return an element.

    Args:
        name: e.g. ``"td"``.
        children: text, escaped, or `Html`, taken as it is.
        attributes: a trailing underscore is dropped, others become hyphens (``class_``, ``stroke_width``); those that
            are None are left out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _WITHOUT_END:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    """Put text (escaped) and `Html` one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child, quote=False) for child in children))


def table(caption: str, columns: Sequence[Cell], rows: Iterable[Sequence[Cell]], *, class_: str | None = None) -> Html:
    """Return a table that scrolls sideways where it does not fit; the first cell of each row is its heading."""
    body = (tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in cells)) for first, *cells in rows)
    return grid(caption, columns, body, class_=class_)


def grid(caption: str, columns: Sequence[Cell], rows: Iterable[Html], *, class_: str | None = None) -> Html:
    """Return a table of rows that are made already; see `table`."""
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    parts = tag("caption", tag("span", caption)), tag("thead", head), tag("tbody", *rows)
    return tag(
        "div", tag("table", *parts, class_=class_), class_="scroll", tabindex=0, role="region", aria_label=caption
    )


def figure(picture: str, caption: str, **attributes: object) -> Html:
    """Return a picture with its caption below."""
    return tag("figure", picture, tag("figcaption", caption), **attributes)


def note(words: str) -> Html:
    """Return a remark in small letters."""
    return tag("p", words, class_="note")


def section(key: str, title: str, *children: str) -> Html:
    """Return a section that links can lead to."""
    return tag("section", tag("h2", title), *children, id=key)
