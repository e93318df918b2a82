"""What a stored batch adds to the metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from logserver.decode import Decoded
from logserver.ingest.batch import BatchBuilder, Documents
from logserver.ingest.dedup import Fresh
from logserver.ingest.tally import Nodes, Tally, newest_by_node
from logserver.metrics import PREFIX, TABLE, Metrics
from logserver.record import LINE_SCHEMA, MARK_SCHEMA, REJECT_SCHEMA, TopicPartition
from logserver.settings import IngestSettings
from milepost.units import Bytes, Seconds
from tests.logserver.rows import line_rows

NOW_S = 1_772_615_727.0
DOCS = Path(__file__).parents[2] / "docs" / "logserver-ingest.md"


def stored(tally: Tally, lines: pa.Table, *, topics: tuple[str, ...] = ("logs",)) -> None:
    """Count a batch of these lines."""
    builder = BatchBuilder(1000, Bytes(10**6), Seconds(1))
    for topic in topics:
        builder.add(TopicPartition(topic, 0), documents(), now_s=0)
    extent = builder.take().extent
    decoded = Decoded(lines, REJECT_SCHEMA.empty_table())
    fresh = Fresh(lines, lines, MARK_SCHEMA.empty_table(), duplicates=0, suspects=0)
    tally.add(extent, decoded, fresh, now_s=NOW_S)


def documents() -> Documents:
    return Documents(
        begins=np.array([0, 3]),
        sizes=np.array([3, 0]),
        keys=pa.array([b"", b""]),
        offsets=pa.array([5, 7], pa.uint64()),
        timestamps_ms=pa.array([0, 0], pa.int64()),
        next_offset=8,
    )


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(PREFIX + name, labels)


def line(node: str, age_s: float) -> dict[str, object]:
    return {"node": node, "appended_at": int((NOW_S - age_s) * 1000)}


def test_a_node_shows_when_it_was_last_heard_of() -> None:
    metrics = Metrics()
    tally = Tally(metrics, IngestSettings())
    stored(tally, line_rows([line("a", 30), line("a", 10), line("b", 20), line("", 1)]))
    stored(tally, line_rows([line("a", 40)]))
    assert value(metrics, "node_last_line_timestamp_seconds", node="a") == NOW_S - 10
    assert value(metrics, "node_last_line_timestamp_seconds", node="b") == NOW_S - 20
    assert value(metrics, "node_last_line_timestamp_seconds", node="") is None


def test_a_clock_in_the_future_does_not_hide_a_silent_node() -> None:
    metrics = Metrics()
    stored(Tally(metrics, IngestSettings()), line_rows([line("a", -3600)]))
    assert value(metrics, "node_last_line_timestamp_seconds", node="a") == NOW_S


def test_nodes_beyond_the_bounds_leave_the_metrics() -> None:
    metrics = Metrics()
    tally = Tally(metrics, IngestSettings(nodes_max=2, node_silence_max=Seconds(100)))
    stored(tally, line_rows([line("old", 50), line("older", 60)]))
    stored(tally, line_rows([line("new", 1), line("ancient", 101)]))
    shown = [node for node in ("old", "older", "new", "ancient") if value(metrics, NODE, node=node) is not None]
    assert shown == ["old", "new"]


NODE = "node_last_line_timestamp_seconds"


def test_a_node_forgotten_comes_back_when_it_is_heard_of_again() -> None:
    nodes = Nodes(nodes_max=10, silence_max_s=100)
    nodes.saw("a", 50)
    assert nodes.changed() == [("a", 50)]
    assert nodes.changed() == []
    assert nodes.forget(now_s=151) == ["a"]
    nodes.saw("a", 150)
    assert (nodes.forget(now_s=151), nodes.changed()) == ([], [("a", 150)])


def test_bytes_are_counted_by_topic() -> None:
    metrics = Metrics()
    stored(Tally(metrics, IngestSettings()), line_rows([line("a", 1)]), topics=("logs", "audit"))
    assert value(metrics, "bytes_total", topic="logs") == value(metrics, "bytes_total", topic="audit") == 3


def test_the_latency_is_taken_over_the_whole_batch() -> None:
    metrics = Metrics()
    stored(Tally(metrics, IngestSettings()), line_rows([line("a", 0.25)] * 999 + [line("a", 20)]))
    assert value(metrics, "visible_latency_seconds_count") == 1000
    assert value(metrics, "visible_latency_seconds_bucket", le="10.0") == 999


def test_no_lines_name_no_nodes() -> None:
    assert newest_by_node(LINE_SCHEMA.empty_table()) == {}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_documentation_names_every_metric(row: object) -> None:
    kind, name, text, labels = (getattr(row, field) for field in ("kind", "name", "help", "labels"))
    shown = ", ".join(f"`{label}`" for label in labels)
    assert f"| `{PREFIX}{name}` | {kind.__name__.lower()} | {shown} | {text} |" in DOCS.read_text()
