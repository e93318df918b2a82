"""The log pipeline, and Milepost's own programs."""

from __future__ import annotations

from tests.dashboards.cases import Case

SELF = 'job="logserver",instance="a:8080"'
LAG = f'milepost_logserver_consumer_lag{{{SELF},topic="logs",partition="0"}}'
PROGRESS = f"milepost_logserver_last_progress_timestamp_seconds{{{SELF}}}"
PAUSED = f"milepost_logserver_paused{{{SELF}}}"
LINES = f'milepost_logserver_lines_total{{{SELF},topic="logs"}}'
REJECTS = f'milepost_logserver_rejects_total{{{SELF},reason="not_json"}}'
BATCHES = f"milepost_logserver_batches_total{{{SELF}}}"
RESETS = f'milepost_logserver_offset_resets_total{{{SELF},topic="logs",action="earliest"}}'
UP = 'up{job="milepost/exporter-node",instance="n1:9100"}'
SOURCE = 'milepost_source_up{job="exporter",instance="n1:9100",source="kubelet"}'
DROPPED = 'milepost_exporter_series_dropped_total{job="exporter",instance="n1:9100",bound="series_max"}'


def visible(within_2_5_s: str, all_lines: str) -> dict[str, str]:
    name = f"milepost_logserver_visible_latency_seconds_bucket{{{SELF},le="
    return {
        f'{name}"2.5"}}': within_2_5_s,
        f'{name}"60.0"}}': all_lines,
        f'{name}"+Inf"}}': all_lines,
        LINES: all_lines,
    }


def disk(used: str, limit: str) -> dict[str, str]:
    return {
        f"milepost_logserver_disk_bytes{{{SELF}}}": used,
        f"milepost_logserver_disk_limit_bytes{{{SELF}}}": limit,
    }


def pod(name: str, node: str, ready: str) -> dict[str, str]:
    return {f'milepost_pod_ready{{namespace="x",model="",predictor="",pod="{name}",node="{node}"}}': ready}


def built(program: str, values: str) -> dict[str, str]:
    name = {
        "node": 'milepost_exporter_build_info{mode="node",version="1"}',
        "cluster": 'milepost_exporter_build_info{mode="cluster",version="1"}',
        "logserver": 'milepost_logserver_build_info{version="1",engine="chdb"}',
        "platform": 'milepost_platform_build_info{version="1"}',
    }[program]
    return {name: values}


def silent(last_line: str, **others: str) -> dict[str, str]:
    """A node whose lines came at these times, with a pod and a log-server that keeps up, unless told otherwise."""
    where = f'namespace="{others.get("namespace", "models")}",model="",predictor="",pod="a",node="n1"'
    return {
        f'milepost_logserver_node_last_line_timestamp_seconds{{{SELF},node="n1"}}': last_line,
        f"milepost_pod_ready{{{where}}}": others.get("ready", "1x400"),
        LAG: others.get("lag", "5x400"),
        'milepost_logserver_build_info{version="1",engine="chdb"}': others.get("logserver", "1x400"),
    }


SILENT = "MilepostFilebeatSilent"
SELDOM = " ".join(f"{1200 * number}x19" for number in range(20))
"""A line every twenty minutes."""
CASES = (
    Case(SILENT, "a line a minute for an hour, none for an hour, then again",
         silent("0+60x60 3600x60 7260+60x60"), {65: 0, 76: 0, 85: 1, 120: 1, 125: 0}),
    Case(SILENT, "a line a minute", silent("0+60x200"), {30: 0, 150: 0}),
    Case(SILENT, "low traffic: a line every twenty minutes", silent(SELDOM), {39: 0, 139: 0, 239: 0, 399: 0}),
    Case(SILENT, "low traffic, and then none for seven hours",
         silent(f"{SELDOM} 22800x600", ready="1x1000", lag="5x1000", logserver="1x1000"), {400: 0, 600: 0, 850: 1}),
    Case(SILENT, "never heard of, series missing", silent("_x400"), {30: 0, 62: 0, 70: 1}),
    Case(SILENT, "heard of for the first time in time", silent("_x50 3000+60x100"), {49: 0, 70: 0, 120: 0}),
    Case(SILENT, "no pod runs there any more", silent("0+60x60 3600x100", ready="1x70 0x100"), {85: 0, 120: 0}),
    Case(SILENT, "only Milepost's own pods run there", silent("_x400", namespace="milepost-prod"), {90: 0}),
    Case(SILENT, "the log-server falls behind", silent("0+60x60 3600x100", lag="5x60 50000x100"), {85: 0, 120: 0}),
    Case(SILENT, "the log-server is restarted and away for half an hour",
         silent("0+60x60 _x30 5460+60x60", lag="5x60 _x30 5x60", logserver="1x60 _x30 1x60"), {80: 0, 95: 0, 120: 0}),
    Case(SILENT, "a restarted log-server does not make a dead Filebeat well",
         silent("0+60x60 3600x30 _x100", lag="5x200", logserver="1x200"), {85: 1, 110: 1, 160: 1}),
    Case(SILENT, "the exporter is gone, so which pods run is not known",
         silent("0+60x60 3600x100", ready="1x60 _x100"), {85: 0, 120: 0}),
    Case("MilepostKafkaLagGrowing", "grows for half an hour, then is worked off",
         {LAG: "0+2000x30 60000-6000x10 0x20"}, {5: 0, 28: 1, 50: 0}),
    Case("MilepostKafkaLagGrowing", "great but shrinking", {LAG: "900000-1000x60"}, {30: 0, 50: 0}),
    Case("MilepostKafkaLagGrowing", "grows but is small", {LAG: "0+10x60"}, {30: 0, 50: 0}),
    Case("MilepostKafkaLagGrowing", "no partition assigned, no series", {}, {30: 0}),
    Case("MilepostLogServerStalled", "no progress for ten minutes, then some", {PROGRESS: "0x10 660+60x20"},
         {1: 0, 8: 1, 20: 0}),
    Case("MilepostLogServerStalled", "progress every minute", {PROGRESS: "0+60x30"}, {20: 0}),
    Case("MilepostLogServerPaused", "the store is down, then back",
         {PAUSED: "0x10 1x20 0x20", BATCHES: "0+200x10 2000x20 2200+200x20"}, {12: 0, 20: 1, 40: 0}),
    Case("MilepostLogServerPaused", "never", {PAUSED: "0x20", BATCHES: "0+200x20"}, {15: 0}),
    Case("MilepostLogServerPaused", "busy with a backlog, paused whenever it is looked at",
         {PAUSED: "1x40", BATCHES: "0+60x40"}, {15: 0, 30: 0}),
    Case("MilepostLogServerPaused", "paused and restarted, well", {PAUSED: "1x10 0x20", BATCHES: "900+9x10 0+9x20"},
         {9: 0, 20: 0}),
    Case("MilepostLogServerPaused", "the log-server is gone: other alerts' matter", {PAUSED: "_x30"}, {20: 0}),
    Case("MilepostRejects", "one in twenty, then none", {LINES: "0+5700x60", REJECTS: "0+300x30 9000x30"},
         {5: 0, 25: 1, 50: 0}),
    Case("MilepostRejects", "one in a thousand", {LINES: "0+9990x60", REJECTS: "0+10x60"}, {25: 0}),
    Case("MilepostRejects", "low traffic: one bad document", {LINES: "0+1x60", REJECTS: "0x10 1x50"}, {25: 0, 50: 0}),
    Case("MilepostRejects", "the log-server was restarted", {LINES: "9000+6000x20 0+6000x40", REJECTS: "900x20 0x40"},
         {25: 0, 50: 0}),
    Case("MilepostRejects", "no document was ever rejected", {LINES: "0+6000x60"}, {25: 0}),
    Case("MilepostVisibleLatency", "a tenth of the lines is late, then none",
         visible("0+5400x30 162000+6000x30", "0+6000x60"), {5: 0, 25: 1, 55: 0}),
    Case("MilepostVisibleLatency", "all in time", visible("0+6000x60", "0+6000x60"), {25: 0}),
    Case("MilepostVisibleLatency", "low traffic: a line a minute, late", visible("0x60", "0+1x60"), {25: 0}),
    Case("MilepostVisibleLatency", "the log-server was restarted",
         visible("90000+6000x20 0+6000x40", "90000+6000x20 0+6000x40"), {25: 0, 50: 0}),
    Case("MilepostLogDiskNearLimit", "95 of 100, then 80", disk("95x30 80x30", "100x60"), {10: 0, 20: 1, 50: 0}),
    Case("MilepostLogDiskNearLimit", "half", disk("50x30", "100x30"), {20: 0}),
    Case("MilepostLogDiskNearLimit", "no bound is set", disk("95x30", "0x30"), {20: 0}),
    Case("MilepostLogsLost", "a position was gone when the log-server started, missing before", {RESETS: "_x10 1x120"},
         {5: 0, 15: 1, 100: 0}),
    Case("MilepostLogsLost", "and once more", {RESETS: "1x100 2x100"}, {90: 0, 105: 1, 190: 0}),
    Case("MilepostLogsLost", "the log-server was restarted", {RESETS: "3x100 0x50"}, {90: 0, 105: 0, 140: 0}),
    Case("MilepostFilebeatMissing", "one node has none, then gets one",
         {**pod("a", "n1", "1x60"), **pod("filebeat-x1", "n1", "1x60"), **pod("b", "n2", "1x60"),
          **pod("filebeat-x2", "n2", "0x30 1x30")}, {10: 0, 20: 1, 40: 0}),
    Case("MilepostFilebeatMissing", "a node without pods needs none",
         {**pod("a", "n1", "1x60"), **pod("filebeat-x1", "n1", "1x60"), **pod("b", "n2", "0x60")}, {30: 0}),
    Case("MilepostTargetDown", "a scrape fails for ten minutes, then works", {UP: "0x15 1x20"}, {3: 0, 10: 1, 25: 0}),
    Case("MilepostTargetDown", "somebody else's target", {'up{job="node-exporter",instance="x"}': "0x20"}, {15: 0}),
    Case("MilepostSourceDown", "the kubelet does not answer, then does", {SOURCE: "0x20 1x20"}, {5: 0, 15: 1, 30: 0}),
    Case("MilepostSourceDown", "it answers", {SOURCE: "1x20"}, {15: 0}),
    Case("MilepostSeriesDropped", "the bound was reached for a while", {DROPPED: "0x5 0+10x5 50x40"},
         {4: 0, 10: 1, 40: 0}),
    Case("MilepostSeriesDropped", "the exporter was restarted", {DROPPED: "50x10 0x20"}, {15: 0, 25: 0}),
    *(
        Case(f"Milepost{name}Absent", story, built(program, values), fires)
        for name, program in (
            ("NodeExporter", "node"),
            ("ClusterExporter", "cluster"),
            ("LogServer", "logserver"),
            ("Platform", "platform"),
        )
        for story, values, fires in (
            ("gone for half an hour, then back", "1x5 _x30 1x30", {4: 0, 12: 0, 30: 1, 45: 0}),
            ("there", "1x30", {20: 0}),
            ("never there", "_x30", {5: 0, 20: 1}),
        )
    ),
)  # fmt: skip
