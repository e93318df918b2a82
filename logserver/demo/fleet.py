"""A small fleet of models and the Filebeat documents of what their containers print.

A container keeps what a real file has: a path under /var/log/containers, an inode, and the byte offset of the next
line, so that every line has the identity that the log-server recognises it by. Document shape: libbeat's
`codec/json/event.go` and the exported fields of Filebeat 9 with `add_kubernetes_metadata`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from logserver.demo import voices
from logserver.demo.voices import Said, Voice

# The CRI prefix of a line in the file: time stamp, stream, tag and three spaces.
_CRI_PREFIX_BYTES = 45
_METADATA = {"beat": "filebeat", "type": "_doc", "version": "9.1.2"}


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of container of a model: its name, image, voice, share of the traffic and how unwell it is."""

    container: str
    image: str
    voice: Voice
    lines_per_second: float
    trouble: float = 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model as deployed: where it lives, its predictors with their replicas, and the containers of its pods."""

    namespace: str
    name: str
    predictors: tuple[tuple[str, int], ...]
    servers: tuple[Server, ...]
    seldon: bool = True


_EXECUTOR = Server("seldon-container-engine", "seldonio/seldon-core-executor:1.17.1", voices.seldon_executor, 4, 0.004)

FLEET: tuple[Model, ...] = (
    Model(
        "recommend",
        "ranker",
        (("default", 3), ("canary", 1)),
        (
            Server("ranker", "tensorflow/serving:2.14.1", voices.tensorflow_serving, 8, 0.002),
            _EXECUTOR,
        ),
    ),
    Model(
        "recommend", "churn", (("default", 2),), (Server("churn", "seldonio/mlserver:1.6.1", voices.mlserver, 6, 0.01),)
    ),
    Model(
        "vision",
        "resnet50",
        (("default", 2),),
        (Server("resnet50", "nvcr.io/nvidia/tritonserver:24.05-py3", voices.triton, 10, 0.003), _EXECUTOR),
    ),
    Model(
        "risk",
        "iris-classifier",
        (("default", 2),),
        (Server("classifier", "registry.local:5000/ml/iris:1.4.0", voices.seldon_python, 5, 0.15), _EXECUTOR),
    ),
    Model(
        "risk",
        "fraud",
        (("default", 3),),
        (Server("fraud", "registry.local:5000/ml/fraud:2.0.3", voices.json_service, 7, 0.02),),
    ),
    Model(
        "abox",
        "gateway",
        (("default", 1),),
        (Server("gateway", "registry.local:5000/abox/gateway:5.2", voices.java_gateway, 3, 0.02),),
        seldon=False,
    ),
)


@dataclass(slots=True)
class Container:
    """A running container: what stays the same in its documents, and the offset its file has reached."""

    key: bytes
    server: Server
    envelope: dict[str, object]
    file: dict[str, object]
    offset: int = 0
    owed: float = field(default=0.0)

    def document(self, said: Said, now: datetime, rng: random.Random) -> bytes:
        """Return the Filebeat document of one message and move the file offset past it."""
        lines = said.text.split("\n")
        log: dict[str, object] = {"offset": self.offset, "file": self.file}
        if len(lines) > 1:
            log["flags"] = ["multiline"]
        self.offset += sum(len(line.encode()) + _CRI_PREFIX_BYTES for line in lines)
        stamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
        fields = {"message": said.text, "stream": said.stream, "log": log, **self.envelope}
        return msgspec.json.encode({"@timestamp": stamp, "@metadata": _METADATA, **in_any_order(fields, rng)})

    def speak(self, rng: random.Random, now: datetime, seconds: float, rate: float) -> Iterator[bytes]:
        """Yield the documents of what this container printed in the last `seconds`."""
        self.owed += self.server.lines_per_second * seconds * rate * rng.uniform(0.6, 1.4)
        while self.owed >= 1:
            self.owed -= 1
            for said in self.server.voice(rng, now, self.server.trouble):
                yield self.document(said, now, rng)


def in_any_order(fields: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return the fields, and those of every object in them, as Go walks through a map: in another order each time.

    So does Filebeat with what follows @timestamp and @metadata:
    https://github.com/elastic/go-structform/blob/main/gotype/fold_map.go
    """
    names = rng.sample(list(fields), len(fields))
    return {name: in_any_order(value, rng) if isinstance(value := fields[name], dict) else value for name in names}


def containers(fleet: tuple[Model, ...], rng: random.Random) -> list[Container]:
    """Return every container of the fleet, as just started."""
    return [
        _container(model, predictor, server, replica, rng)
        for model in fleet
        for predictor, replicas in model.predictors
        for replica in range(replicas)
        for server in model.servers
    ]


def _container(model: Model, predictor: str, server: Server, replica: int, rng: random.Random) -> Container:
    deployment = f"{model.name}-{predictor}-0-{model.servers[0].container}" if model.seldon else model.name
    template = hashlib.sha256(deployment.encode()).hexdigest()[:10]
    pod = f"{deployment}-{template}-{hashlib.sha256(f'{deployment}/{replica}'.encode()).hexdigest()[:5]}"
    container_id = f"{rng.getrandbits(256):064x}"
    node = f"gpu-{replica:02d}" if model.namespace == "vision" else f"node-{replica:02d}"
    labels = {"app": deployment, "pod-template-hash": template}
    if model.seldon:
        labels |= {"seldon-deployment-id": model.name, "seldon-app": f"{model.name}-{predictor}", "version": predictor}
    envelope: dict[str, object] = {
        "input": {"type": "filestream"},
        "ecs": {"version": "8.0.0"},
        "host": {"name": node},
        "agent": {"type": "filebeat", "version": "9.1.2", "name": node},
        "container": {"id": container_id, "runtime": "containerd", "image": {"name": server.image}},
        "kubernetes": {
            "namespace": model.namespace,
            "pod": {"name": pod, "uid": f"{rng.getrandbits(128):032x}"},
            "node": {"name": node},
            "container": {"name": server.container},
            "deployment": {"name": deployment},
            "labels": labels,
        },
    }
    path = f"/var/log/containers/{pod}_{model.namespace}_{server.container}-{container_id}.log"
    file: dict[str, object] = {"path": path, "device_id": "66305", "inode": str(rng.randint(1_000_000, 9_999_999))}
    return Container(container_id.encode(), server, envelope, file)


def utc_now() -> datetime:
    """Return the present in UTC."""
    return datetime.now(UTC)
