"""Small HTTP servers on addresses that Kubernetes accepts in Endpoints, all of them on this machine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from milepost.kube import KubeClient, resource_path
from tests.parts.addresses import SERVED_PREFIX, make_local
from tests.parts.objects import create

PORT_NAME = "http"


class Backend:
    """Answers every request with 200 and its name; a context manager. `requests` counts by path."""

    def __init__(self, name: str, last_octet: int = 1) -> None:
        make_local()
        self.name = name
        self.address = f"{SERVED_PREFIX}0.{last_octet}"
        self.requests: Counter[str] = Counter()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one segment; two would cost a delayed acknowledgement each time.
            wbufsize = 1 << 16

            def do_GET(self) -> None:
                backend.requests[self.path] += 1
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                body = backend.name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer((self.address, 0), Handler)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port on `address`."""
        return self._server.server_port

    def __enter__(self) -> Backend:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


async def create_service(client: KubeClient, namespace: str, name: str, backends: Sequence[Backend]) -> None:
    """Create a Service on port 80 whose endpoints are these servers; they share one port or one address each."""
    service = {"metadata": {"name": name}, "spec": {"ports": [{"name": PORT_NAME, "port": 80, "protocol": "TCP"}]}}
    await create(client, resource_path("", "v1", "services", namespace=namespace), service)
    for number, backend in enumerate(backends):
        slice_ = {
            "metadata": {"name": f"{name}-{number}", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [backend.address], "conditions": {"ready": True}}],
            "ports": [{"name": PORT_NAME, "port": backend.port, "protocol": "TCP"}],
        }
        await create(client, resource_path("discovery.k8s.io", "v1", "endpointslices", namespace=namespace), slice_)
