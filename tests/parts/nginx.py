"""A real nginx from Debian's packages."""

from __future__ import annotations

from pathlib import Path

from tests.parts.install import Say, debian
from tests.parts.process import Process

_PACKAGES = ("nginx-light",)


def nginx_binary(say: Say = lambda _: None) -> str:
    """Return the path of nginx; raises Unavailable."""
    return debian(_PACKAGES, ("nginx",), say)["nginx"]


class Nginx:
    """One nginx in the foreground with `config`, the text of its nginx.conf; `folder` is its prefix.

    The configuration names its own ports. It needs no `daemon`, `pid` or `error_log`: those are set here.
    """

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "nginx.conf"
        self.config.write_text(config)
        settings = f"daemon off; pid {folder / 'nginx.pid'}; error_log stderr;"
        command = [nginx_binary(), "-p", str(folder), "-c", str(self.config), "-g", settings, "-e", "stderr"]
        self.process = Process(command, log=folder / "nginx.log")

    def start(self, port: int) -> Nginx:
        """Start it and wait until it accepts connections on `port`."""
        self.process.start()
        self.process.wait_port(port)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()
