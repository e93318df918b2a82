"""The servers a framework stands for, as a table.

A row follows Seldon Core's `operator/config/manager/configmap.yaml` (which protocols a server speaks) and
`operator/controllers/seldondeployment_prepackaged_servers.go` (which container runs it). The first protocol of a row
is its default. `cpu_features` are names of node-feature-discovery's `cpu-cpuid` labels: the official TensorFlow
binaries stop with SIGILL (exit code 132) on a CPU without AVX2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msgspec import UNSET

from deploy.spec import Builtin, Framework, ModelSpec, Protocol, Serving, UnitType


@dataclass(frozen=True, slots=True)
class Server:
    """One prepackaged server: Seldon's name for it and what it can do."""

    implementation: str | None
    protocols: tuple[Protocol, ...]
    needs_uri: bool = True
    cpu_features: tuple[str, ...] = ()


SERVERS: Mapping[Framework, Server] = MappingProxyType(
    {
        "tensorflow": Server("TENSORFLOW_SERVER", ("tensorflow", "seldon"), cpu_features=("AVX2",)),
        "sklearn": Server("SKLEARN_SERVER", ("seldon", "v2")),
        "xgboost": Server("XGBOOST_SERVER", ("seldon", "v2")),
        "mlflow": Server("MLFLOW_SERVER", ("seldon", "v2")),
        "triton": Server("TRITON_SERVER", ("v2",)),
        "pytorch": Server("TRITON_SERVER", ("v2",)),
        "huggingface": Server("HUGGINGFACE_SERVER", ("v2",), needs_uri=False),
        "custom": Server(None, ("seldon", "v2", "tensorflow"), needs_uri=False),
    }
)

BUILTINS: Mapping[Builtin, tuple[str, UnitType]] = MappingProxyType(
    {
        "simple-model": ("SIMPLE_MODEL", "model"),
        "simple-router": ("SIMPLE_ROUTER", "router"),
        "random-abtest": ("RANDOM_ABTEST", "router"),
        "average-combiner": ("AVERAGE_COMBINER", "combiner"),
    }
)
"""Units that the orchestrator itself performs: they have no container."""

UNIT_TYPES: Mapping[UnitType, str] = MappingProxyType(
    {
        "model": "MODEL",
        "router": "ROUTER",
        "combiner": "COMBINER",
        "transformer": "TRANSFORMER",
        "output-transformer": "OUTPUT_TRANSFORMER",
    }
)

TFSERVING_CONTAINER = "tfserving"
"""Under the seldon protocol TensorFlow Serving runs in this container, beside a proxy named as the unit."""
TFSERVING_REST_PORT = 2001


def implementation_of(serving: Serving) -> str | None:
    """Return Seldon's implementation name, or None for an own image."""
    if serving.server:
        return serving.server
    if serving.framework == "pytorch" and serving.image:
        return None
    return SERVERS[serving.framework].implementation


def protocol_of(spec: ModelSpec) -> Protocol:
    """Return the protocol the model's orchestrator speaks: as written, else the default of its server."""
    if spec.protocol:
        return spec.protocol
    serving: Serving = spec.graph or spec
    return SERVERS[serving.framework].protocols[0]


def container_of(serving: Serving, unit: str, protocol: Protocol) -> str:
    """Return the name of the container that runs the server of this unit."""
    proxied = implementation_of(serving) == "TENSORFLOW_SERVER" and protocol == "seldon"
    return TFSERVING_CONTAINER if proxied else unit


def cpu_features_of(serving: Serving) -> tuple[str, ...]:
    """Return the CPU features the server needs: as written, else those of its framework."""
    if serving.cpu_features is not UNSET:
        return serving.cpu_features
    return SERVERS[serving.framework].cpu_features
