"""The line scanner reads what the stock parser reads, and refuses what is no page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.page.scan import PageError, Scanned, parse_labels, scan
from exporter.page.sink import escape

PAGE = b"""# HELP a_total of things
# TYPE a_total counter
a_total{x="1",y="}{\\"\\\\\\n"} 3 1717583673123
a_total 4
a_total_more{x="1"} 5
b{x="2",} 7.3400320e+07
:tensorflow:serving:request_count{model_name="m",status="OK"} 1
"""


def test_only_the_wanted_names_are_read_and_no_longer_ones() -> None:
    assert list(scan(PAGE, ["a_total"])) == [
        Scanned("a_total", b'x="1",y="}{\\"\\\\\\n"', 3.0, 1717583673123),
        Scanned("a_total", b"", 4.0, None),
    ]


def test_a_page_may_begin_with_a_sample() -> None:
    assert [s.value for s in scan(b"a 1\na 2\n", ["a"])] == [1.0, 2.0]
    assert [s.value for s in scan(b"b 1\na 2\n", ["a"])] == [2.0]
    assert list(scan(b"", ["a"])) == []


def test_a_page_without_its_end_is_refused_for_its_last_number_may_be_shorter_than_sent() -> None:
    with pytest.raises(PageError, match="no end"):
        list(scan(b"a 1\na 1234", ["a"]))


def test_a_leading_colon_and_a_trailing_comma_are_read() -> None:
    found = list(scan(PAGE, [":tensorflow:serving:request_count", "b"]))
    assert [(parse_labels(s.labels), s.value) for s in found] == [
        ({"model_name": "m", "status": "OK"}, 1.0),
        ({"x": "2"}, 73400320.0),
    ]


@pytest.mark.parametrize("line", [b"a{x=", b'a{x="1"}', b"a one", b"a{} 1 2 3"])
def test_a_truncated_line_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(PageError, match="a"):
        list(scan(b"# TYPE a gauge\n" + line + b"\n", ["a"]))


def test_families_are_found_in_any_order_and_beside_longer_and_shorter_names() -> None:
    page = b"a_b 1\na_bc 2\na 3\na 4\nab 5\nz 6\n"
    for names in (["a", "a_b", "z", "ab"], ["z", "ab", "a_b", "a"], ["a_bc", "a_b"], ["a"], ["b", "z"], ["a_"]):
        expected = {"a": [3, 4], "a_b": [1], "a_bc": [2], "ab": [5], "z": [6]}
        found = [(sample.name, sample.value) for sample in scan(page, names)]
        assert found == [(name, value) for name in names for value in expected.get(name, [])]


@pytest.mark.parametrize("line", [b'a{x="} 5"} 1', b'a{x="} 5 6"}\t1', b'a  {x="} "}  1  7  ', b'a{x="}"} 1 2\r'])
def test_braces_in_values_and_odd_blanks_are_read(line: bytes) -> None:
    if line.startswith(b"a  {"):
        with pytest.raises(PageError):
            list(scan(line + b"\n", ["a"]))
        return
    (sample,) = scan(line + b"\n", ["a"])
    assert sample.value == 1
    assert parse_labels(sample.labels)["x"].startswith("}")


@pytest.mark.parametrize(
    "text", ["x=1", 'x="1', 'x="1"y="2"', '1x="1"', '="1"', 'x "1"', 'x="1" 2', 'x="1\\"', 'x="1",y', ',x="1"', '"x"']
)
def test_a_label_set_that_is_none_is_an_error(text: str) -> None:
    for each in (text, f'{text},z="\\n"'):
        with pytest.raises(PageError):
            parse_labels(each)


def test_blanks_and_empty_values_are_read_with_and_without_escapes() -> None:
    assert parse_labels("") == parse_labels(" ") == {}
    assert parse_labels(b' x = "1" , y="",z="a,b=c", ') == {"x": "1", "y": "", "z": "a,b=c"}
    assert parse_labels(rb' x = "1" , y="",z="\"\\\n", ') == {"x": "1", "y": "", "z": '"\\\n'}


# The stock parser splits at every line boundary that Python knows; the format has only the line feed.
label_values = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(st.lists(st.tuples(label_values, st.floats(allow_nan=False)), max_size=8))
def test_any_rendered_page_reads_as_the_stock_parser_reads_it(rows: list[tuple[str, float]]) -> None:
    text = "# TYPE g gauge\n" + "".join(f'g{{x="{escape(x)}"}} {value!r}\n' for x, value in rows)
    ours = [(parse_labels(s.labels)["x"], s.value) for s in scan(text.encode(), ["g"])]
    stock = [(s.labels["x"], s.value) for family in text_string_to_metric_families(text) for s in family.samples]
    assert ours == stock == rows
