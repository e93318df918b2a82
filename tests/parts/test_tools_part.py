"""Prometheus, Alertmanager, nginx and Chromium are real and stay on this machine."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from clickhouse_driver import Client

from tests.parts.chromium import Chromium
from tests.parts.containers import ClickHouseServer
from tests.parts.nginx import Nginx
from tests.parts.ports import free_port
from tests.parts.prometheus import Alertmanager, Prometheus

PROMETHEUS = "global: {scrape_interval: 1s}\nscrape_configs: []\n"
ALERTMANAGER = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_prometheus_and_promtool(prometheus_programs: dict[str, str], tmp_path: Path) -> None:
    server = Prometheus(tmp_path, PROMETHEUS).start()
    answer = json.loads(_get(f"{server.url}/api/v1/query?query=1%2B1"))
    server.stop()
    assert answer["data"]["result"][1] == "2"
    checked = subprocess.run(
        [prometheus_programs["promtool"], "check", "config", server.config], capture_output=True, text=True, check=True
    )
    assert "SUCCESS" in checked.stdout


@pytest.mark.usefixtures("prometheus_programs")
def test_alertmanager(tmp_path: Path) -> None:
    server = Alertmanager(tmp_path, ALERTMANAGER).start()
    assert json.loads(_get(f"{server.url}/api/v2/status"))["cluster"]["status"] == "disabled"
    server.stop()


@pytest.mark.usefixtures("nginx")
def test_nginx(tmp_path: Path) -> None:
    port = free_port()
    config = f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 200 'it is nginx'; }} }}"
    server = Nginx(tmp_path, config).start(port)
    assert _get(f"http://127.0.0.1:{port}/") == "it is nginx"
    server.stop()


@pytest.mark.browser
def test_chromium_renders_a_page(chromium: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p id=p></p><script>p.textContent = 6 * 7</script>")
    command = [chromium.browser, *chromium.flags_for(tmp_path / "profile"), "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert '<p id="p">42</p>' in shown.stdout


def test_a_clickhouse_server_speaks_its_native_protocol(clickhouse_server: ClickHouseServer) -> None:
    server = clickhouse_server
    client = Client(server.host, server.port, user=server.user, password=server.password, database=server.database)
    assert client.execute("SELECT 6 * 7") == [(42,)]
    client.disconnect()
