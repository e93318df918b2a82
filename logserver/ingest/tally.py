"""What a stored batch adds to the metrics. Runs in the store's thread: the event loop is for fetching and answering.

`node_last_line_timestamp_seconds` says when a node was last heard of: the newest Kafka timestamp among its documents,
repeats included, never later than now, since one wrong clock would hide the node's silence for ever. At most
`ingest.nodes_max` nodes are shown, and none that was silent for `ingest.node_silence_max`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from logserver.decode import Decoded
from logserver.ingest.batch import Extent
from logserver.ingest.dedup import Fresh
from logserver.metrics import Metrics
from logserver.settings import IngestSettings

LATENCY_SAMPLES = 1000
_NODE_METRIC = "node_last_line_timestamp_seconds"


class Tally:
    """Counts stored batches; one thread at a time."""

    def __init__(self, metrics: Metrics, settings: IngestSettings) -> None:
        self._metrics = metrics
        self._nodes = Nodes(nodes_max=settings.nodes_max, silence_max_s=settings.node_silence_max)

    def add(self, extent: Extent, decoded: Decoded, fresh: Fresh, *, now_s: float) -> None:
        """Count one batch that queries can see since `now_s` (Unix time)."""
        metrics = self._metrics
        metrics.counter("batches_total").inc()
        for topic, rows in _counts(fresh.lines["topic"]).items():
            metrics.counter("lines_total", topic).inc(rows)
        for topic, size in extent.topic_bytes.items():
            metrics.counter("bytes_total", topic).inc(size)
        for reason, rows in _counts(decoded.rejects["reason"]).items():
            metrics.counter("rejects_total", reason).inc(rows)
        metrics.counter("duplicates_total").inc(fresh.duplicates)
        metrics.counter("suspects_total").inc(fresh.suspects)
        self._observe_latency(fresh.lines, now_s)
        for node, seen_s in newest_by_node(decoded.lines).items():
            self._nodes.saw(node, min(seen_s, now_s))
        self._show_nodes(now_s)

    def _observe_latency(self, lines: pa.Table, now_s: float) -> None:
        appended_ms = lines["appended_at"].cast("int64").to_numpy()
        latency = self._metrics.histogram("visible_latency_seconds")
        rows = np.linspace(0, len(appended_ms) - 1, min(len(appended_ms), LATENCY_SAMPLES), dtype=int)
        for sample_s in np.maximum(0.0, now_s - appended_ms[rows] / 1000).tolist():
            latency.observe(sample_s)

    def _show_nodes(self, now_s: float) -> None:
        for node in self._nodes.forget(now_s=now_s):
            self._metrics.drop(_NODE_METRIC, node)
        for node, seen_s in self._nodes.changed():
            self._metrics.gauge(_NODE_METRIC, node).set(seen_s)


class Nodes:
    """When each node was last heard of, bounded: those silent the longest are forgotten first."""

    def __init__(self, *, nodes_max: int, silence_max_s: float) -> None:
        self._nodes_max = nodes_max
        self._silence_max_s = silence_max_s
        self._seen_s: dict[str, float] = {}
        self._changed: set[str] = set()

    def saw(self, node: str, seen_s: float) -> None:
        """Note a document of the node; an older one than the newest changes nothing."""
        if node and seen_s > self._seen_s.get(node, 0.0):
            self._seen_s[node] = seen_s
            self._changed.add(node)

    def forget(self, *, now_s: float) -> list[str]:
        """Forget the nodes beyond the bounds and return them."""
        oldest_s = now_s - self._silence_max_s
        gone = [node for node, seen_s in self._seen_s.items() if seen_s < oldest_s]
        if (beyond := len(self._seen_s) - len(gone) - self._nodes_max) > 0:
            kept = set(self._seen_s).difference(gone)
            gone += sorted(kept, key=self._seen_s.__getitem__)[:beyond]
        for node in gone:
            del self._seen_s[node]
        return gone

    def changed(self) -> list[tuple[str, float]]:
        """Return the nodes heard of since the last call, with their times."""
        changed, self._changed = self._changed, set()
        return [(node, self._seen_s[node]) for node in changed if node in self._seen_s]


def newest_by_node(lines: pa.Table) -> dict[str, float]:
    """Return the newest Kafka timestamp (Unix seconds) of each node's lines; lines without a node count for none."""
    newest = lines.select(["node", "appended_at"]).group_by("node").aggregate([("appended_at", "max")])
    times_ms = newest["appended_at_max"].cast("int64").to_pylist()
    return {node: ms / 1000 for node, ms in zip(newest["node"].to_pylist(), times_ms, strict=True) if node}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
