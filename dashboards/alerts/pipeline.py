"""The log pipeline, and Milepost's own programs: is everything read, stored and seen?"""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group, Recording

P = "milepost_logserver_"
SELF = "[instance]"
LAG = "topic:milepost_logserver_consumer_lag:sum"
LINES = "job:milepost_logserver_lines:rate5m"
REJECTS = "job:milepost_logserver_rejects:rate5m"
VISIBLE = "job:milepost_logserver_visible_latency_seconds:p99_rate5m"
NODES = "count by (node) (milepost_pod_ready == 1)"
RESETS = f"{P}offset_resets_total"
FILEBEAT = 'milepost_pod_ready{pod=~"filebeat-[a-z0-9]+"}'

LOGS = Group(
    "milepost-logs",
    (
        Recording(LAG, f"sum by (topic) ({P}consumer_lag)"),
        Recording(LINES, f"sum by (job) (rate({P}lines_total[5m]))"),
        Recording(REJECTS, f"sum by (job) (rate({P}rejects_total[5m]))"),
        Recording(VISIBLE, f"histogram_quantile(0.99, sum by (job, le) (rate({P}visible_latency_seconds_bucket[5m])))"),
        Alert(
            "MilepostKafkaLagGrowing", "warning", f"{LAG} > 10000 and deriv({LAG}[15m]) > 0", "10m",
            "The log-server falls behind on topic [topic]",
            "[value|humanize] documents of topic [topic] wait to be stored, and it gets more.",
        ),
        Alert(
            "MilepostLogServerStalled", "critical", f"time() - {P}last_progress_timestamp_seconds > 120", "2m",
            f"Log-server {SELF} makes no progress",
            f"Log-server {SELF} stored nothing for [value|humanizeDuration], though it is not idle: an idle one "
            "reports progress too.",
        ),
        Alert(
            # Working off a backlog it pauses between batches, too: only when none gets through has it stopped.
            "MilepostLogServerPaused", "warning",
            f"{P}paused == 1 and on (job, instance) rate({P}batches_total[2m]) == 0", "5m",
            f"Log-server {SELF} has stopped reading",
            f"Log-server {SELF} paused its partitions because the store is slow or down; lines wait in Kafka.",
        ),
        Alert(
            "MilepostRejects", "warning", f"{REJECTS} / ({LINES} + {REJECTS}) > 0.01 and {REJECTS} > 0.1", "10m",
            "Too many documents cannot become log lines",
            "[value|humanizePercentage] of the documents are rejected.",
        ),
        Alert(
            "MilepostVisibleLatency", "warning", f"{VISIBLE} > 5 and on (job) {LINES} > 1", "10m",
            "Log lines are visible late",
            "One line in a hundred can be found only [value|humanizeDuration] after Kafka had it.",
        ),
        Alert(
            "MilepostLogDiskNearLimit", "warning",
            f"max by (job, instance) ({P}disk_bytes) / (max by (job, instance) ({P}disk_limit_bytes) > 0) > 0.9", "15m",
            f"The store of log-server {SELF} is nearly full",
            "The store uses [value|humanizePercentage] of its bound; above it the oldest days are dropped.",
        ),
        Alert(
            # The series begins with the first loss, mostly when a log-server starts: there is no increase to see then.
            "MilepostLogsLost", "critical",
            f"sum by (topic) (increase({RESETS}[1h])) > 0 or sum by (topic) ({RESETS} unless {RESETS} offset 1h) > 0",
            "0m",
            "Log lines were deleted before they were stored",
            "A position in topic [topic] was no longer there: Kafka's retention was faster than the "
            "log-server.",
        ),
        Alert(
            "MilepostFilebeatMissing", "warning",
            f"{NODES} unless on (node) ({FILEBEAT} == 1)", "15m",
            "Node [node] runs pods but no Filebeat that delivers",
            "No Filebeat on [node] is ready (its readiness is a connection to Kafka), while "
            "[value] pods run there: their lines are not collected.",
        ),
    ),
)  # fmt: skip

LAST_LINE = "node:milepost_logserver_node_last_line_timestamp_seconds:max"
KNOWN_LAST = f"last_over_time({LAST_LINE}[1d])"
SILENCE = f"(time() - {KNOWN_LAST})"
READ_PODS = 'count by (node) (milepost_pod_ready{namespace!~"milepost(-(qa|pre|prod))?"} == 1)'
NODES_S = 60
QUIET_S, QUIET_GAPS, DAY_S = 900, 10, 86_400
# Silent for ten times as long as the node mostly was between two lines: a node that seldom prints is left alone. The
# last known value of a day counts, so that a restarted log-server does not make a dead Filebeat look well.
FELL_SILENT = (
    f"({SILENCE} > {QUIET_S} and {SILENCE} * changes({LAST_LINE}[1d]) > "
    f"{QUIET_GAPS * NODES_S} * count_over_time({LAST_LINE}[1d]))"
)
# Not a line in a day, though there were pods and a log-server for an hour at least.
NEVER_HEARD = (
    f"({READ_PODS} * 0 + {DAY_S} and on (node) {READ_PODS.replace('}', '} offset 1h')} "
    f"and on () count({P}build_info offset 1h) unless on (node) {KNOWN_LAST} > time() - {DAY_S})"
)

SHIPPERS = Group(
    "milepost-nodes",
    (
        Recording(LAST_LINE, f"max by (node) ({P}node_last_line_timestamp_seconds)"),
        Alert(
            "MilepostFilebeatSilent", "warning",
            # Documents that wait in Kafka are the log-server's silence, not Filebeat's; without it nothing is known.
            f"({FELL_SILENT} or {NEVER_HEARD}) and on (node) {READ_PODS} and on () sum({P}consumer_lag) < 10000", "5m",
            "No log line comes from node [node]",
            "Pods run on [node], and the last line of any of them came [value|humanizeDuration] ago, or longer.",
        ),
    ),
    interval=f"{NODES_S}s",
)  # fmt: skip

TARGETS = Group(
    "milepost-targets",
    (
        Alert(
            "MilepostTargetDown", "warning",
            'up{job=~"(.*/)?(milepost-)?(exporter(-node|-cluster)?|logserver|platform|dubbo)"} == 0', "5m",
            f"Prometheus cannot scrape [job] {SELF}",
            f"The last scrapes of {SELF} (job [job]) failed: its alerts are blind.",
        ),
        Alert(
            "MilepostSourceDown", "warning", "milepost_source_up == 0", "10m",
            f"Exporter {SELF} cannot read [source]",
            f"Exporter {SELF} has no figures from its source [source]; milepost_source_errors_total says "
            "why.",
        ),
        Alert(
            "MilepostSeriesDropped", "info", "increase(milepost_exporter_series_dropped_total[15m]) > 0", "0m",
            f"Exporter {SELF} leaves series out",
            f"Exporter {SELF} reached its bound [bound] and left [value|humanize] series out.",
        ),
        Alert(
            "MilepostNodeExporterAbsent", "critical", 'absent(milepost_exporter_build_info{mode="node"})', "10m",
            "No exporter in node mode is scraped",
            "CPU, memory and GPU figures are missing for every node.",
        ),
        Alert(
            "MilepostClusterExporterAbsent", "critical", 'absent(milepost_exporter_build_info{mode="cluster"})', "10m",
            "No exporter in cluster mode is scraped",
            "The state, traffic and latency of every model are missing, and with them the alerts on models.",
        ),
        Alert(
            "MilepostLogServerAbsent", "critical", f"absent({P}build_info)", "10m",
            "No log-server is scraped",
            "Whether log lines are stored is unknown.",
        ),
        Alert(
            "MilepostPlatformAbsent", "warning", "absent(milepost_platform_build_info)", "10m",
            "No model platform is scraped",
            "Whether models can be changed, and interrupted changes go on, is unknown.",
        ),
    ),
)  # fmt: skip

GROUPS = (LOGS, SHIPPERS, TARGETS)
