"""Probes and stop times that fit servers which load a model for minutes.

Without probes of its own a container gets Seldon's: TCP liveness after 60 s, every 5 s, 3 failures, so a server whose
port opens after about 70 s is killed for ever. Here a startup probe covers loading and the other two wait for it.
The port is addressed by the name that Seldon's defaulting webhook gives it.
"""

from __future__ import annotations

from typing import Any

from deploy.spec import Probes, Protocol, Transport
from deploy.spec.frameworks import TFSERVING_CONTAINER, TFSERVING_REST_PORT

STARTUP_PERIOD_SECONDS = 5
V2_READY = "/v2/health/ready"
V2_LIVE = "/v2/health/live"


def probes(wanted: Probes, *, container: str, prepackaged: bool, protocol: Protocol, transport: Transport) -> Any:
    """Return {startupProbe, readinessProbe, livenessProbe} of one container."""
    port: str | int = "http" if transport == "rest" else "grpc"
    if container == TFSERVING_CONTAINER:
        port = TFSERVING_REST_PORT
    speaks_v2 = prepackaged and protocol == "v2"
    if wanted.kind == "http" or wanted.path or (wanted.kind is None and speaks_v2):
        web_port = "http" if port == "grpc" else port
        ready = {"httpGet": {"path": wanted.path or V2_READY, "port": web_port, "scheme": "HTTP"}}
        live = {"httpGet": {"path": wanted.path or V2_LIVE, "port": web_port, "scheme": "HTTP"}}
    else:
        ready = live = {"tcpSocket": {"port": port}}
    steady = {
        "periodSeconds": wanted.period_seconds,
        "timeoutSeconds": wanted.timeout_seconds,
        "failureThreshold": wanted.failures,
    }
    startup = {
        "periodSeconds": STARTUP_PERIOD_SECONDS,
        "timeoutSeconds": wanted.timeout_seconds,
        "failureThreshold": -(-wanted.startup_seconds // STARTUP_PERIOD_SECONDS),
    }
    return {"startupProbe": ready | startup, "readinessProbe": ready | steady, "livenessProbe": live | steady}
