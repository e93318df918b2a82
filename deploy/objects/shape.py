"""The shape of a SeldonDeployment, as far as the rules read it: what a patch may not break.

Its fields are as in Seldon's Go types; nothing is null, since what we render leaves out what it does not say. What is
not listed may be anything: the API server's own schema says more. The rules of `deploy.objects.webhook` and
`deploy.objects.allocation`, and what comes after them, rely on this shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from deploy.errors import Refusal
from deploy.objects import Body
from deploy.spec.misread import refusal_of

Texts = dict[str, str]
Quantities = dict[str, str | int | float]


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """Options that every part shares."""


class Variable(_Shape, frozen=True):
    """An environment variable."""

    name: str


class Mount(_Shape, frozen=True):
    """A mounted volume."""

    mount_path: str


class Resources(_Shape, frozen=True):
    """Requests and limits."""

    requests: Quantities = {}
    limits: Quantities = {}


class Container(_Shape, frozen=True):
    """A container."""

    name: str
    image: str = ""
    env: list[Variable] = []
    resources: Resources = Resources()
    volume_mounts: list[Mount] = []


class Pod(_Shape, frozen=True):
    """A PodSpec."""

    containers: list[Container] = []
    init_containers: list[Container] = []
    node_selector: Texts = {}


class Target(_Shape, frozen=True):
    """What an HPA aims at."""

    average_utilization: int | UnsetType = UNSET


class Utilised(_Shape, frozen=True):
    """The resource of a metric."""

    name: str = ""
    target: Target = Target()


class Metric(_Shape, frozen=True):
    """A metric of autoscaling/v2."""

    resource: Utilised = Utilised()


class Metadata(_Shape, frozen=True):
    """Labels and annotations."""

    labels: Texts = {}
    annotations: Texts = {}


class Hpa(_Shape, frozen=True):
    """An hpaSpec."""

    max_replicas: int
    min_replicas: int = 1
    metricsv2: list[Metric] = []


class Component(_Shape, frozen=True):
    """A componentSpec."""

    metadata: Metadata = Metadata()
    spec: Pod = Pod()
    hpa_spec: Hpa | UnsetType = UNSET
    keda_spec: dict[str, Any] = {}
    pdb_spec: dict[str, Any] = {}


class Endpoint(_Shape, frozen=True):
    """Where a unit is reached."""

    type: str = ""


class Logger(_Shape, frozen=True):
    """Request logging of a unit."""

    mode: str = ""


class Node(_Shape, frozen=True):
    """A unit of the graph."""

    name: str
    type: str = ""
    implementation: str = ""
    methods: list[str] = []
    endpoint: Endpoint = Endpoint()
    model_uri: str = ""
    logger: Logger = Logger()
    parameters: list[dict[str, Any]] = []
    children: list[Node] = []


class Orchestrator(_Shape, frozen=True):
    """`svcOrchSpec`."""

    env: list[Variable] = []


class Predictor(_Shape, frozen=True):
    """A predictor."""

    name: str
    graph: Node
    traffic: int = 0
    shadow: bool = False
    replicas: int = 0
    annotations: Texts = {}
    labels: Texts = {}
    component_specs: list[Component] = []
    svc_orch_spec: Orchestrator = Orchestrator()


class Spec(_Shape, frozen=True):
    """`spec` of a SeldonDeployment."""

    predictors: list[Predictor] = []
    protocol: str = ""
    transport: str = ""
    server_type: str = ""
    annotations: Texts = {}


class SeldonShape(_Shape, frozen=True):
    """A SeldonDeployment."""

    metadata: Metadata
    spec: Spec


def refusals(body: Body) -> Iterator[Refusal]:
    """Yield the first thing of a SeldonDeployment that has not this shape."""
    try:
        msgspec.convert(body, SeldonShape)
    except msgspec.ValidationError as error:
        yield refusal_of(str(error), body, SeldonShape)
