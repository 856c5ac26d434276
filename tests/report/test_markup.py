from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from deeplab.report.markup import Html, join, table, tag

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"))


class Words(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words, self.attributes, self.tags = "", dict[str, str | None](), list[str]()
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


@given(TEXT, TEXT)
def test_any_text_comes_back_as_text_and_any_value_as_a_value(words: str, value: str) -> None:
    read = Words(tag("p", words, title=value))
    assert (read.tags, read.words, read.attributes) == (["p"], words, {"title": value})


def test_html_is_taken_as_it_is_and_text_is_not() -> None:
    assert join([Html("<b>"), "<b>"]) == "<b>&lt;b&gt;"
    assert tag("p", tag("b", "x")) == "<p><b>x</b></p>"


def test_names_of_attributes_and_elements_without_end() -> None:
    assert tag("line", class_="a", stroke_width=2, id=None) == '<line class="a" stroke-width="2"></line>'
    assert tag("img", alt="") == '<img alt="">'


def test_the_first_cell_of_a_row_is_its_heading() -> None:
    made = table("Figures", ["what", "how much"], [["a", "1"], ["b", "2"]])
    assert '<th scope="row">a</th><td>1</td>' in made
    assert made.count('scope="col"') == 2
    assert 'aria-label="Figures"' in made
