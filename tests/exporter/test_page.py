"""The pages as Prometheus gets them: golden, valid in both formats, clean for promtool, every name from the table."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections import Counter
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter.page import families as fam
from exporter.page.families import FAMILIES
from exporter.page.family import Family, Kind, Mode, Scope
from exporter.page.render import SeriesBound, compressed, header, page
from exporter.page.samples import Samples
from exporter.page.sink import EXPORTER, Histogram, Subject
from milepost.identity import Identity
from tests.exporter.scene import GOLDEN, PAGES_BY_NAME, cluster_page, node_page

BOUND = SeriesBound(10_000)
PODS = Subject.of(Identity("ns", "m", "p", "pod", "", "n"), Scope.POD)


@pytest.mark.parametrize("name", PAGES_BY_NAME)
def test_a_page_is_what_the_golden_file_says(name: str) -> None:
    assert PAGES_BY_NAME[name]() == (GOLDEN / name).read_text()


@pytest.mark.parametrize("name", PAGES_BY_NAME)
def test_promtool_finds_nothing_to_say_about_a_page(name: str, prometheus_programs: dict[str, str]) -> None:
    checked = subprocess.run(
        [prometheus_programs["promtool"], "check", "metrics"],
        input=PAGES_BY_NAME[name](), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_stock_parsers_read_the_same_samples_from_both_formats() -> None:
    text = {s for f in text_string_to_metric_families(cluster_page()) for s in map(_plain, f.samples)}
    page_end = "# EOF\n"
    read: Any = openmetrics_families
    openmetrics = {s for f in read(cluster_page(openmetrics=True) + page_end) for s in map(_plain, f.samples)}
    assert text == openmetrics
    assert len(text) > 200


@pytest.mark.parametrize("content", [cluster_page(), node_page()], ids=["cluster", "node"])
def test_no_series_is_on_a_page_twice(content: str) -> None:
    series = Counter(line.rpartition(" ")[0] for line in content.splitlines() if not line.startswith("#"))
    assert [name for name, times in series.items() if times > 1] == []


@pytest.mark.parametrize(("content", "mode"), [(cluster_page(), Mode.CLUSTER), (node_page(), Mode.NODE)])
def test_a_mode_serves_its_own_families_only(content: str, mode: Mode) -> None:
    names = set(re.findall(r"^# TYPE (\S+)", content, re.MULTILINE))
    by_name = {family.name: family for family in FAMILIES}
    assert {by_name[name].mode for name in names} <= {mode, Mode.BOTH}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_named_as_prometheus_wants_it(family: Family) -> None:
    assert re.fullmatch(r"milepost_[a-z0-9_]+", family.name)
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
    assert family.help.endswith(".")
    assert len(set(family.label_names)) == len(family.label_names)
    # These labels are the scraper's to set (job, instance, service...) or mean something to the server.
    assert not set(family.label_names) & {"job", "instance", "le", "quantile", "service", "endpoint", "cluster"}


def test_family_names_are_unique() -> None:
    assert [name for name, times in Counter(family.name for family in FAMILIES).items() if times > 1] == []


def test_a_page_has_at_most_series_max_series_and_counts_the_rest() -> None:
    samples, bound = Samples(), SeriesBound(3)
    for ready in range(5):
        samples.add(fam.POD_READY, PODS, ready)
    content = "".join(page(samples, Samples(), bound, openmetrics=False))
    assert content.count("milepost_pod_ready{") == 3
    assert 'milepost_exporter_series_dropped_total{bound="scrape.series_max"} 2\n' in content
    assert "milepost_exporter_series 5\n" in content
    assert bound.dropped == 2


def test_a_histogram_is_never_cut() -> None:
    samples = Samples()
    subject = Subject.of(Identity("ns", "m", "p", "pod", "c", "n"), Scope.CONTAINER)
    for transport in ("rest", "grpc"):
        samples.add_histogram(fam.AT_MODEL.duration, subject, Histogram((0.1,), (1, 2), 3.5), "executor", transport)
    content = "".join(page(samples, Samples(), SeriesBound(6), openmetrics=False))
    assert content.count("milepost_model_request_duration_seconds_") == 4


def test_a_compressed_page_reads_back() -> None:
    samples = Samples()
    samples.add(fam.POD_READY, PODS, 1)
    content = "".join(page(samples, Samples(), BOUND, openmetrics=False))
    assert gzip.decompress(b"".join(compressed([content], 1))).decode() == content


def test_openmetrics_names_a_counters_family_without_its_total() -> None:
    assert header(fam.CPU_SECONDS, openmetrics=True).splitlines()[1] == (
        "# TYPE milepost_container_cpu_usage_seconds counter"
    )


def test_a_subject_of_another_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="is about a POD, not a EXPORTER"):
        Samples().add(fam.POD_READY, EXPORTER, 1)


def _plain(sample: object) -> tuple[str, tuple[tuple[str, str], ...], str]:
    name, labels, value = sample.name, sample.labels, sample.value  # type: ignore[attr-defined]
    return name, tuple(sorted(labels.items())), repr(value)
