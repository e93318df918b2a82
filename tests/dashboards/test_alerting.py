"""A model starts to fail: a real Prometheus notices in time, a real Alertmanager tells the right people.

The pages are the exporter's (`tests/dashboards/pages.py`), served with counters that grow as time goes by.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.dashboards.expressions import ROOT
from tests.dashboards.pages import cluster_page
from tests.dashboards.test_alerts import RULE_FILES
from tests.parts.prometheus import Alertmanager, Prometheus

pytestmark = pytest.mark.slow

FIRES_WITHIN_S = 240  # `for: 2m`, an evaluation and a scrape, and room for a busy machine
Answer = Callable[[str, bytes], bytes]


class FailingModel:
    """The exporter's cluster page; from `fail()` on half of what `fraud` answers is an error."""

    def __init__(self) -> None:
        self.families = list(text_string_to_metric_families(cluster_page()))
        self.started = time.monotonic()
        self.failing_since = float("inf")

    def fail(self) -> None:
        self.failing_since = time.monotonic()

    def page(self) -> bytes:
        now = time.monotonic()
        healthy_s = min(now, self.failing_since) - self.started
        failing_s = max(0.0, now - self.failing_since)
        lines = []
        for family in self.families:
            for sample in family.samples:
                value = sample.value
                if family.type in ("counter", "histogram", "summary"):
                    broken = sample.labels.get("model") == "fraud" and sample.labels.get("code_class") == "5xx"
                    value = 100 * failing_s if broken else sample.value * (healthy_s + failing_s)
                labels = ",".join(f'{name}="{text}"' for name, text in sample.labels.items())
                lines.append(f"{sample.name}{{{labels}}} {value}")
        return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start an HTTP server that answers with what a function returns; gives its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def alertmanager_config(receiver: str) -> str:
    """The shipped example, with its addresses replaced by this test's and no waiting for more of a group."""
    config = yaml.safe_load((ROOT / "dashboards" / "rules" / "alertmanager.example.yml").read_text())
    config["route"]["group_wait"] = "1s"
    for each in config["receivers"]:
        if each.pop("email_configs", None) or each.pop("webhook_configs", None):
            each["webhook_configs"] = [{"url": f"http://{receiver}/{each['name']}", "send_resolved": True}]
    return yaml.safe_dump(config)


def prometheus_config(target: str, alertmanager: str) -> str:
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
            "rule_files": [str(path) for path in RULE_FILES],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [
                {"job_name": "milepost-exporter-cluster", "honor_labels": True,
                 "static_configs": [{"targets": [target]}]}
            ],
        }
    )  # fmt: skip


def test_whoever_is_on_call_hears_of_a_failing_model_in_time(tmp_path: Path, serve: Callable[[Answer], str]) -> None:
    model = FailingModel()
    heard: list[tuple[str, dict[str, Any]]] = []

    def listen(path: str, body: bytes) -> bytes:
        heard.extend((path.strip("/"), alert) for alert in json.loads(body)["alerts"])
        return b""

    alertmanager = Alertmanager(tmp_path / "alertmanager", alertmanager_config(serve(listen))).start()
    target = serve(lambda _path, _body: model.page())
    address = alertmanager.url.removeprefix("http://")
    prometheus = Prometheus(tmp_path / "prometheus", prometheus_config(target, address)).start()
    try:
        time.sleep(20)
        model.fail()
        deadline = time.monotonic() + FIRES_WITHIN_S
        while time.monotonic() < deadline and not told(heard):
            time.sleep(1)
        receiver, alert = told(heard)[0]
    finally:
        prometheus.stop()
        alertmanager.stop()
    assert receiver == "on-call"
    assert alert["status"] == "firing"
    assert (alert["labels"]["namespace"], alert["labels"]["severity"]) == ("models", "critical")
    assert "models/fraud answers too many requests with errors" in alert["annotations"]["summary"]
    assert not [item for _, item in heard if "error expanding" in json.dumps(item["annotations"])]
    assert {item["labels"].get("model") for _, item in heard if "Budget" in item["labels"]["alertname"]} == {"fraud"}


def told(heard: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return [each for each in heard if each[1]["labels"]["alertname"] == "MilepostModelErrorBudgetBurn"]
