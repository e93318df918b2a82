"""What is served: interfaces with their methods, and the request to a model that each method becomes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODEL = "{model}"
TENSOR = "$tensor"
"""In a body, `{$tensor: $x, name: …, datatype: …}` becomes a tensor of the V2 protocol, with its shape worked out."""
TYPES = ("int", "long", "double", "string", "boolean")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Protocol:
    """The defaults that a protocol brings; `$input` of its body is the one argument that is not the model's name."""

    path: str
    body: Any
    returns: str
    bytes: str = "base64"


PROTOCOLS = {
    "tensorflow": Protocol(f"/v1/models/{MODEL}:predict", {"instances": "$input"}, "predictions", "b64-object"),
    "seldon": Protocol("/api/v1.0/predictions", {"data": {"ndarray": "$input"}}, "data.ndarray"),
    "v2": Protocol(
        f"/v2/models/{MODEL}/infer",
        {"inputs": [{TENSOR: "$input", "name": "input-0", "datatype": "FP32"}]},
        "outputs.0.data",
    ),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A part of an argument: its position, then keys and positions within it."""

    argument: int
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """What a call of this method becomes."""

    name: str
    arguments: tuple[str, ...]
    url: str
    """With `{model}` where the model's name goes."""
    host: str
    """The header Host, "" for the URL's own; with `{model}` too."""
    verb: str
    body: Any
    """JSON, with a Reference wherever an argument goes; None for none."""
    returns: tuple[str, ...]
    """The way into the answer, key by key; () for all of it."""
    type: str
    java_class: str
    bytes: str
    model: str | Reference
    models: tuple[str, ...]
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Service:
    """One interface in one version and group."""

    interface: str
    version: str
    group: str
    methods: Mapping[str, Method]
    timeout_s: float | None
    retries: int | None
    weight: int

    @property
    def key(self) -> str:
        """Its name among the services, `group/interface:version` as Dubbo writes it."""
        return service_key(self.interface, self.version, self.group)


Services = Mapping[str, Service]


def service_key(interface: str, version: str, group: str) -> str:
    """Return `group/interface:version`, without what is empty; Dubbo's 0.0.0 means no version."""
    front = f"{group}/" if group else ""
    return f"{front}{interface}:{version}" if version not in ("", "0.0.0") else f"{front}{interface}"
