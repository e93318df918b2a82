"""What a registry is told of a service: the URL of a provider, as callers of Dubbo 2.5 to 3.3 read it. Pure.

Format: `/dubbo/<interface>/providers/<URL, percent-encoded>`; dubbo-registry-zookeeper, `ZookeeperRegistry`, and
dubbo-common, `URL`. Registration by interface is enough for callers of Dubbo 3 as well: they look for applications
first and fall back.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from deploy.dubbo.services import Service

PROTOCOL_VERSION = "2.0.2"


@dataclass(frozen=True, slots=True)
class Provider:
    """This process, as callers find it."""

    application: str
    host: str
    port: int
    pid: int
    started_ms: int
    """Milliseconds since 1970; callers send little in the first ten minutes of a Java provider's life (warmup)."""
    asks_token: str = ""


def folder_of(root: str, service: Service) -> str:
    """Return the path under which the providers of this service are."""
    return f"/{root.strip('/')}/{service.interface}/providers"


def entry_of(provider: Provider, service: Service) -> str:
    """Return the name of this provider's entry, which is its URL."""
    return quote(url_of(provider, service), safe="")


def url_of(provider: Provider, service: Service) -> str:
    """Return the provider's URL.

    Dubbo 3 takes the first serialization that it knows from `prefer-serialization`; without it, it may choose one that
    is not spoken here. Timeouts and retries are what callers use that set none themselves.
    """
    parameters = {
        "anyhost": "true",
        "application": provider.application,
        "deprecated": "false",
        "dubbo": PROTOCOL_VERSION,
        "dynamic": "true",
        "generic": "false",
        "interface": service.interface,
        "methods": ",".join(service.methods),
        "pid": str(provider.pid),
        "prefer-serialization": "hessian2",
        "serialization": "hessian2",
        "side": "provider",
        "timestamp": str(provider.started_ms),
        # A model behind HTTP is as warm as it was before we came.
        "warmup": "1",
        "weight": str(service.weight),
        **_given(provider, service),
    }
    query = "&".join(f"{name}={quote(value, safe='*,')}" for name, value in sorted(parameters.items()))
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    return f"dubbo://{host}:{provider.port}/{service.interface}?{query}"


def _given(provider: Provider, service: Service) -> dict[str, str]:
    found = {"version": service.version, "group": service.group, "token": provider.asks_token}
    if service.retries is not None:
        found["retries"] = str(service.retries)
    if service.timeout_s is not None:
        found["timeout"] = _milliseconds(service.timeout_s)
    for method in service.methods.values():
        if method.timeout_s is not None:
            found[f"{method.name}.timeout"] = _milliseconds(method.timeout_s)
    return {name: value for name, value in found.items() if value}


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
