"""Log pipeline: from Filebeat through Kafka into the store, and out again to readers."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.frame import framed
from dashboards.panels import BAD, CAREFUL, Column, PanelBuilder, Query, figure, heat, lines, table_of
from dashboards.promql import ANYWHERE, quantile, rate, ratio, sum_by, top

UID = "milepost-pipeline"
LINES = ANYWHERE("milepost_logserver_lines_total")
REJECTS = ANYWHERE("milepost_logserver_rejects_total")
DUPLICATES = ANYWHERE("milepost_logserver_duplicates_total")
VISIBLE = ANYWHERE("milepost_logserver_visible_latency_seconds_bucket")
QUERIES = ANYWHERE("milepost_logserver_query_duration_seconds_bucket")
LAG = ANYWHERE("milepost_logserver_consumer_lag")
LAST_LINE = ANYWHERE("milepost_logserver_node_last_line_timestamp_seconds")
PROGRESS = ANYWHERE("milepost_logserver_last_progress_timestamp_seconds")


def pipeline() -> Dashboard:
    """Return the dashboard of the log pipeline."""
    return framed(
        "Milepost / Log pipeline",
        UID,
        "Lag, throughput, visible latency, rejects, disk, readers.",
        variables.job(variables.LOG_SERVERS),
        variables.instance(variables.LOG_SERVERS),
        rows={
            "At a glance": _figures(),
            "In": _in(),
            "Latency and lag": _latency(),
            "What was not stored": _refused(),
            "Out": _out(),
            "Store": _store(),
        },
    )


def _figures() -> list[PanelBuilder]:
    refused = ratio(sum_by("", rate(REJECTS)), f"sum({rate(LINES)}) + sum({rate(REJECTS)})")
    return [
        figure("Lines", "Lines stored per second.", "cps", sum_by("", rate(LINES))),
        figure("Lag", "Documents in Kafka that are not stored yet.", "short", f"sum({LAG})",
               steps=[(100_000, CAREFUL), (1_000_000, BAD)]),
        figure("Visible after (p99)", "99 % of lines can be found this long after Kafka had them.", "s",
               quantile(0.99, "", VISIBLE), steps=[(1, CAREFUL), (5, BAD)]),
        figure("Rejected", "Share of documents that could not become a line.", "percentunit", refused,
               steps=[(0.001, CAREFUL), (0.01, BAD)]),
        figure("Paused", "Log-servers that stopped reading because the store is slow or down.", "short",
               f"sum({ANYWHERE('milepost_logserver_paused')})", steps=[(1, BAD)]),
        figure("Disk", "Bytes of the store.", "bytes", f"max({ANYWHERE('milepost_logserver_disk_bytes')})"),
    ]  # fmt: skip


def _in() -> list[PanelBuilder]:
    received = ANYWHERE("milepost_logserver_bytes_total")
    batches = ANYWHERE("milepost_logserver_batches_total")
    stages = ANYWHERE("milepost_logserver_batch_seconds_sum")
    return [
        lines("Lines", "Lines stored per second by topic and replica.", "cps",
              Query(sum_by("topic, instance", rate(LINES)), "{{topic}} {{instance}}")),
        lines("Bytes", "Bytes of documents read from Kafka per second.", "Bps",
              Query(sum_by("topic, instance", rate(received)), "{{topic}} {{instance}}")),
        lines("Batches", "Batches stored per second.", "cps",
              Query(sum_by("instance", rate(batches)), "{{instance}}")),
        lines("Time by stage", "Seconds per second that batches spend in each stage: 1 is one stage busy all the "
              "time.", "short", Query(sum_by("stage", rate(stages)), "{{stage}}"), stacked=True),
    ]  # fmt: skip


def _latency() -> list[PanelBuilder]:
    return [
        lines("Visible latency", "From Kafka's timestamp until a query can return the line.", "s",
              Query(quantile(0.5, "", VISIBLE), "p50"), Query(quantile(0.95, "", VISIBLE), "p95"),
              Query(quantile(0.99, "", VISIBLE), "p99")),
        heat("Visible latency, all lines", "How many lines per second became visible after how long.",
             sum_by("le", rate(VISIBLE))),
        lines("Lag", "Documents of each partition that are not stored yet.", "short",
              Query(sum_by("topic, partition", LAG), "{{topic}}/{{partition}}"), stacked=True),
        lines("Since the last progress", "Seconds since a batch was stored or the partitions were found empty. It must "
              "not grow.", "s", Query(f"time() - {PROGRESS}", "{{instance}}")),
        lines("Since the last line, by node", "Seconds since a line of the node reached Kafka, of the 20 longest "
              "silent. One that grows while pods run there is a Filebeat that sends nothing.", "s",
              Query(top(20, f"time() - max by (node) ({LAST_LINE})"), "{{node}}")),
        lines("Partitions", "Partitions each replica owns.", "short",
              Query(ANYWHERE("milepost_logserver_assigned_partitions"), "{{instance}}")),
        lines("Paused", "1 while a replica stopped reading because the store is slow or down.", "short",
              Query(ANYWHERE("milepost_logserver_paused"), "{{instance}}"), top=1),
    ]  # fmt: skip


def _refused() -> list[PanelBuilder]:
    resets = ANYWHERE("milepost_logserver_offset_resets_total")
    return [
        lines("Rejects", "Documents per second that could not become a line, by reason. Read them with "
              "GET /api/v1/rejects.", "cps", Query(sum_by("reason", rate(REJECTS)), "{{reason}}"), span=8),
        lines("Duplicates", "Lines per second that were stored before and so dropped: Filebeat or Kafka sent them "
              "again.", "cps", Query(sum_by("", rate(DUPLICATES)), "duplicates"), span=8),
        table_of("Lost positions", "Times a stored position was no longer in the topic: lines were deleted before they "
                 "were read.", ["topic", "action"],
                 Column("Resets", sum_by("topic, action", resets), "short", bad_from=1), span=8, height=8),
    ]  # fmt: skip


def _out() -> list[PanelBuilder]:
    dropped = ANYWHERE("milepost_logserver_follower_dropped_lines_total")
    count = ANYWHERE("milepost_logserver_query_duration_seconds_count")
    return [
        lines("Requests", "Requests per second by endpoint.", "reqps",
              Query(sum_by("endpoint", rate(count)), "{{endpoint}}"), span=6),
        lines("p95 by endpoint", "95 % of requests were answered within this time.", "s",
              Query(quantile(0.95, "endpoint", QUERIES), "{{endpoint}}"), span=6),
        lines("Followers", "Open live tails.", "short",
              Query(sum_by("instance", ANYWHERE("milepost_logserver_followers")), "{{instance}}"), span=6),
        lines("Not sent to slow followers", "Lines per second that a follower was too slow for; it was told, and can "
              "fetch them.", "cps", Query(sum_by("instance", rate(dropped)), "{{instance}}"), span=6),
    ]  # fmt: skip


def _store() -> list[PanelBuilder]:
    disk, limit = ANYWHERE("milepost_logserver_disk_bytes"), ANYWHERE("milepost_logserver_disk_limit_bytes")
    expired = ANYWHERE("milepost_logserver_expired_partitions_total")
    retries = ANYWHERE("milepost_logserver_store_retries_total")
    return [
        lines("Disk", "Bytes of the store, and its bound (0: none).", "bytes",
              Query(f"max({disk})", "used"), Query(f"max({limit})", "bound"), span=8),
        lines("Retries", "Times per second the same batch was tried again because the store failed.", "cps",
              Query(sum_by("instance", rate(retries)), "{{instance}}"), span=8),
        lines("Expired", "Partitions of the store dropped by retention, by reason.", "short",
              Query(sum_by("reason", f"increase({expired}[$__rate_interval])"), "{{reason}}"), span=8),
    ]  # fmt: skip
