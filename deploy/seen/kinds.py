"""The Kubernetes objects that are read, as far as a field of them decides anything here.

Everything else of an object is skipped by the decoder, unread: a SeldonDeployment of 30 KiB becomes some 300 bytes. A
field that a server leaves out has the zero value, and `null` is allowed only where the API really sends it.
"""

from __future__ import annotations

import msgspec


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata that decides something."""

    name: str = ""
    namespace: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str | None = None
    resource_version: str = ""
    creation_timestamp: str | None = None
    uid: str = ""


class _Predictor(msgspec.Struct, frozen=True):
    name: str = ""


class _SeldonSpec(msgspec.Struct, frozen=True):
    predictors: list[_Predictor] = []


class _ServiceStatus(msgspec.Struct, frozen=True, rename="camel"):
    svc_name: str = ""


class SeldonStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status` of a SeldonDeployment (`operator/apis/machinelearning.seldon.io/v1/seldon_deployment_status.go`)."""

    state: str = ""
    description: str = ""
    replicas: int = 0
    service_status: dict[str, _ServiceStatus] | None = None


class Seldon(msgspec.Struct, frozen=True):
    """A SeldonDeployment."""

    metadata: Meta = Meta()
    spec: _SeldonSpec = _SeldonSpec()
    status: SeldonStatus = SeldonStatus()


class _Template(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()


class _DeploymentSpec(msgspec.Struct, frozen=True):
    replicas: int = 1
    template: _Template = _Template()


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class DeploymentStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status` of an apps/v1 Deployment."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: list[_Condition] = []


class Deployment(msgspec.Struct, frozen=True):
    """An apps/v1 Deployment."""

    metadata: Meta = Meta()
    spec: _DeploymentSpec = _DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class _Port(msgspec.Struct, frozen=True):
    name: str = ""
    port: int = 0


class _ServiceSpec(msgspec.Struct, frozen=True):
    type: str = ""
    ports: list[_Port] = []


class Service(msgspec.Struct, frozen=True):
    """A core/v1 Service."""

    metadata: Meta = Meta()
    spec: _ServiceSpec = _ServiceSpec()


class _EndpointConditions(msgspec.Struct, frozen=True):
    ready: bool | None = None


class _Endpoint(msgspec.Struct, frozen=True):
    addresses: list[str] = []
    conditions: _EndpointConditions = _EndpointConditions()


class EndpointSlice(msgspec.Struct, frozen=True):
    """A discovery.k8s.io/v1 EndpointSlice."""

    metadata: Meta = Meta()
    endpoints: list[_Endpoint] | None = None
