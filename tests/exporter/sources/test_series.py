"""Gathering series: what the stock parser reads, for any page; nothing that crashes, for any bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.page.scan import PageError
from exporter.page.sink import escape
from exporter.sources import dcgm, executor, gpumanager, kserve, mlserver, nginx, tfserving, torchserve, triton, wrapper
from exporter.sources.series import Families, histogram

PARSERS: list[Callable[[bytes], Sequence[object]]] = [
    executor.parse, tfserving.parse, triton.parse, mlserver.parse, kserve.parse, torchserve.parse, nginx.parse,
    wrapper.parse, dcgm.parse, gpumanager.parse_metric,
]  # fmt: skip

# What a page is made of, so that random text meets the parsers' own paths.
PIECES = [
    executor.SERVER.encode(), b"_bucket", b"_sum", b"_count", b"{", b"}", b'le="', b'le="0.1"', b'"', b",", b"\n",
    b"\\", b" ", b"1", b"+Inf", b"NaN", b"1e999", b'a="x"', b"=", b"\x00", b"\xff", b"# TYPE x histogram\n", b"x",
    b"1_0", b"nv_inference_request_success", b"model", b"nginx_ingress_controller_requests",
    b"request_predict_seconds",
]  # fmt: skip
pages = st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@given(pages)
@settings(max_examples=300)
def test_any_bytes_give_figures_or_a_page_error(page: bytes) -> None:
    for parse in PARSERS:
        for text in (page, b"\n" + page + b"\n"):
            try:
                found = parse(text)
            except PageError:
                continue
            assert len(found) <= text.count(b"\n") + 1


@given(st.binary(max_size=200))
def test_any_bytes_for_the_usage_of_gpumanager_give_rows_or_a_page_error(body: bytes) -> None:
    try:
        assert isinstance(gpumanager.parse_usage(body), list)
    except PageError as error:
        assert "/usage" in str(error)  # noqa: PT017


@pytest.mark.parametrize("unit", [b'{a="', b'a="\\', b'a="x",', b"{", b'le="', b"}"])
def test_no_page_takes_more_than_linear_time(unit: bytes) -> None:
    page = b"nv_inference_request_success{" + unit * 200_000 + b"\n"
    # A pattern that could backtrack would need hours; the test's own time limit is the assertion's other half.
    assert triton.parse(page) == []


label_values = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(st.dictionaries(label_values, st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=6))
def test_series_are_those_of_the_stock_parser(rows: dict[str, tuple[float, float]]) -> None:
    lines = ["# TYPE h histogram\n"]
    for label, (low, rest) in rows.items():
        text = escape(label)
        lines.append(f'h_bucket{{le="0.5",x="{text}"}} {low!r}\nh_bucket{{x="{text}",le="+Inf"}} {low + rest!r}\n')
        lines.append(f'h_sum{{x="{text}"}} 1.5\nh_count{{x="{text}"}} {low + rest!r}\n')
    page = "".join(lines)
    stock: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "h_bucket":
                stock.setdefault(sample.labels["x"], {})[float(sample.labels["le"])] = sample.value
    ours = {one.labels["x"]: one.buckets for one in Families("h").gather(page.encode())}
    assert ours == stock == {label: {0.5: low, math.inf: low + rest} for label, (low, rest) in rows.items()}


def test_a_page_of_the_official_client_is_read_whole() -> None:
    registry = CollectorRegistry()
    durations = Histogram("d_seconds", "help", ["scale", "role"], registry=registry, buckets=(0.1, 1))
    durations.labels("5", "}").observe(0.05)
    durations.labels("5", "}").observe(3)
    Counter("c", "help", registry=registry).inc(4)
    counter, duration = Families("c", "d_seconds").gather(generate_latest(registry))[::-1]
    assert (counter.family, counter.value) == ("c", 4.0)
    assert duration.labels == {"role": "}", "scale": "5"}
    assert (duration.buckets, duration.sum, duration.count) == ({0.1: 1, 1.0: 1, math.inf: 2}, 3.05, 2)


def test_names_that_begin_alike_are_told_apart() -> None:
    page = b'ab{x="1"} 1\nabc{x="1"} 2\nabcd{x="1"} 3\nab_sum 4\n'
    found = [(one.family, one.value, one.sum) for one in Families("ab", "abc").gather(page)]
    assert found == [("ab", 1.0, 0.0), ("abc", 2.0, 0.0), ("ab", 0.0, 4.0)]


def test_timestamps_exemplars_and_spaces_are_no_part_of_the_value() -> None:
    page = b'a{x="1"} 2 1717583673123\na{x="2"}\t3 # {trace_id="}"} 9 1.5\na  4\na{x="3"} NaN\na{x="4"} text\n'
    assert [one.value for one in Families("a").gather(page)] == [2.0, 3.0, 4.0]


def test_a_page_with_too_many_samples_is_refused_and_names_the_bound() -> None:
    page = b"".join(b'a{x="%d"} 1\n' % i for i in range(11))
    assert len(Families("a").gather(page, samples_max=11)) == 11
    with pytest.raises(PageError, match="more than 10 samples of a"):
        Families("a").gather(page, samples_max=10)


def test_histograms_of_other_bounds_are_added_where_both_have_one() -> None:
    page = (
        b'h_bucket{x="1",le="1"} 1\nh_bucket{x="1",le="2"} 2\nh_bucket{x="1",le="+Inf"} 3\nh_sum{x="1"} 4\n'
        b'h_bucket{x="2",le="2"} 5\nh_bucket{x="2",le="4"} 6\nh_bucket{x="2",le="+Inf"} 7\nh_sum{x="2"} 8\n'
    )
    both = histogram(Families("h").gather(page))
    assert both is not None
    assert (both.bounds_s, both.cumulative, both.sum_s) == ((2.0,), (7.0, 10.0), 12.0)
