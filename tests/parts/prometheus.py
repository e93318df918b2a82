"""A real Prometheus and Alertmanager, with promtool and amtool, from Debian's packages."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from tests.parts.install import Say, debian
from tests.parts.ports import free_port
from tests.parts.process import Process

START_S = 60.0
_PACKAGES = ("prometheus", "prometheus-alertmanager")
_PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")


def programs(say: Say = lambda _: None) -> dict[str, str]:
    """Return the paths of prometheus, promtool, prometheus-alertmanager and amtool; raises Unavailable."""
    return debian(_PACKAGES, _PROGRAMS, say)


class Prometheus:
    """One Prometheus with `config` (the text of prometheus.yml) and its data in `folder`."""

    def __init__(self, folder: Path, config: str, *flags: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "prometheus.yml"
        self.config.write_text(config)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = Process(
            [
                programs()["prometheus"],
                f"--config.file={self.config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--web.enable-lifecycle",
                *flags,
            ],
            log=folder / "prometheus.log",
        )

    def start(self) -> Prometheus:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_until(lambda: _answers(f"{self.url}/-/ready"), "/-/ready", START_S)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()


class Alertmanager:
    """One Alertmanager with `config` (the text of alertmanager.yml) and its data in `folder`."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "alertmanager.yml"
        self.config.write_text(config)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = Process(
            [
                programs()["prometheus-alertmanager"],
                f"--config.file={self.config}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                # No cluster: the empty address keeps it from opening a port on every interface.
                "--cluster.listen-address=",
            ],
            log=folder / "alertmanager.log",
        )

    def start(self) -> Alertmanager:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_until(lambda: _answers(f"{self.url}/-/ready"), "/-/ready", START_S)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - the URL is ours
            return bool(answer.status == 200)
    except OSError:
        return False
