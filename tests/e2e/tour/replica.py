"""A replica of a model: it answers requests, counts them as Seldon's executor does, and prints lines.

`answer` is one step of its life. What it counted is on `executor_page` (families, labels and buckets of Seldon Core
v1.17 `executor/api/metric/`), what it printed comes back as Filebeat documents of the shape of `filebeat/samples/`.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[3] / "filebeat" / "samples" / "multiline_python.json"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
UNIT, ENGINE = "classifier", "seldon-container-engine"
CAUSE = "ValueError: feature 'merchant_risk' is missing in 3 of 3 rows; the model was trained without gaps"
TRACEBACK = f"""Traceback (most recent call last):
  File "/usr/local/lib/python3.10/site-packages/seldon_core/wrapper.py", line 83, in Predict
    response = seldon_core.seldon_methods.predict(user_model, requestJson, seldon_metrics)
  File "/usr/local/lib/python3.10/site-packages/seldon_core/seldon_methods.py", line 131, in predict
    client_response = client_predict(user_model, features, class_names, meta=meta)
  File "/microservice/Fraud.py", line 64, in predict
    return self.model.predict_proba(self.frame(rows, names))
  File "/microservice/Fraud.py", line 41, in frame
    raise ValueError(f"feature {{name!r}} is missing in {{gaps}} of {{len(rows)}} rows; {{WHY}}")
{CAUSE}"""


class Counted:
    """A histogram of one label set."""

    def __init__(self) -> None:
        self.buckets = [0] * len(BUCKETS_S)
        self.count = 0
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one request."""
        self.count += 1
        self.sum_s += seconds
        for place, bound in enumerate(BUCKETS_S):
            self.buckets[place] += seconds <= bound

    def rows(self, family: str, labels: str) -> Iterator[str]:
        """Yield its lines of the page."""
        for bound, value in zip((*BUCKETS_S, "+Inf"), (*self.buckets, self.count), strict=True):
            yield f'{family}_bucket{{{labels},le="{bound}"}} {value}'
        yield f"{family}_sum{{{labels}}} {self.sum_s}"
        yield f"{family}_count{{{labels}}} {self.count}"


class Replica:
    """One pod; `pod` is the object as the API server has it, with the container ids that its status names."""

    def __init__(self, pod: dict[str, Any], *, seed: int) -> None:
        meta = pod["metadata"]
        self.namespace, self.name = meta["namespace"], meta["name"]
        self.model, self.predictor = meta["labels"]["seldon-deployment-id"], meta["labels"]["version"]
        self.address: str = pod["status"]["podIP"]
        self.failing = False
        self.cpu_seconds = 0.0
        self.by_code = {"200": Counted(), "500": Counted()}
        ids = {each["name"]: each["containerID"] for each in pod["status"]["containerStatuses"]}
        self.container_id: str = ids[UNIT].partition("://")[2]
        self._choose = random.Random(seed)
        self._document = _template(pod, self.container_id)
        self._offset = 0
        self._numbers = itertools.count(1)

    @property
    def key(self) -> bytes:
        """The Kafka key of its documents, as the shipped configuration has it."""
        return self.container_id.encode()

    def answer(self, failures: float) -> Iterator[bytes]:
        """Answer one request; while `failing`, this share of them fails. Yield the documents of what it prints."""
        number, now = next(self._numbers), datetime.datetime.now(datetime.UTC)
        stamp = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
        if self.failing and self._choose.random() < failures:
            self.by_code["500"].observe(self._choose.uniform(0.003, 0.02))
            self.cpu_seconds += 0.004
            yield self.document(
                f"{stamp} - seldon_core.wrapper:handle_generic_exception:49 - ERROR:  request {number} failed"
            )
            yield self.document(TRACEBACK)
            return
        seconds, score = self._choose.lognormvariate(-3.2, 0.5), self._choose.random()
        self.by_code["200"].observe(seconds)
        self.cpu_seconds += seconds / 2
        yield self.document(
            f"{stamp} - Fraud:predict:66 - INFO:  request {number}: scored 3 rows in {seconds * 1000:.1f} ms, "
            f"highest {score:.3f}"
        )

    def document(self, message: str, *, at: datetime.datetime | None = None) -> bytes:
        """Return the document of the next line of its unit's file."""
        made = copy.deepcopy(self._document)
        made["@timestamp"] = f"{at or datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        made["message"] = message
        made["log"]["offset"] = self._offset
        if "\n" in message:
            made["log"]["flags"] = ["multiline"]
        # The file has the runtime's prefix before each line.
        self._offset += len(message.encode()) + 46 * (message.count("\n") + 1)
        return json.dumps(made).encode()

    def executor_page(self) -> str:
        """Return the page of its orchestrator."""
        who = f'deployment_name="{self.model}",method="post"'
        predictor = f'predictor_name="{self.predictor}",predictor_version=""'
        unit = f'model_image="registry.example.test",model_name="{UNIT}",model_version=""'
        rows = ["# TYPE seldon_api_executor_server_requests_seconds histogram"]
        for code, counted in self.by_code.items():
            labels = f'code="{code}",{who},{predictor},service="predictions"'
            rows += counted.rows("seldon_api_executor_server_requests_seconds", labels)
        rows.append("# TYPE seldon_api_executor_client_requests_seconds histogram")
        for code, counted in self.by_code.items():
            labels = f'code="{code}",{who},{unit},{predictor},service="/predict"'
            rows += counted.rows("seldon_api_executor_client_requests_seconds", labels)
        return "\n".join(rows) + "\n"


def ingress_page(replicas: list[Replica], ingress: str) -> str:
    """Return ingress-nginx's page: each predictor's Service behind one Ingress, as its callers met it."""
    family = "nginx_ingress_controller_requests"
    duration = "nginx_ingress_controller_request_duration_seconds"
    counts, times = [f"# TYPE {family} counter"], [f"# TYPE {duration} histogram"]
    for replica in replicas:
        for code, counted in replica.by_code.items():
            labels = (
                f'canary="",controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",'
                f'controller_pod="c-0",host="models.example.test",ingress="{ingress}",method="POST",'
                f'namespace="{replica.namespace}",path="/seldon/{replica.namespace}/{ingress}",'
                f'service="{replica.model}-{replica.predictor}",status="{code}"'
            )
            counts.append(f"{family}{{{labels}}} {counted.count}")
            times += counted.rows(duration, labels)
    return "\n".join([*counts, *times]) + "\n"


def _template(pod: dict[str, Any], container_id: str) -> dict[str, Any]:
    """Return the sample document with this pod's names in the places of the sample's."""
    meta = pod["metadata"]
    made: dict[str, Any] = json.loads(SAMPLE.read_text())
    node = pod["spec"]["nodeName"]
    path = f"/var/log/containers/{meta['name']}_{meta['namespace']}_{UNIT}-{container_id}.log"
    made["log"] = {"offset": 0, "file": {"path": path, "device_id": "66305", "inode": str(int(container_id[:6], 16))}}
    made["host"]["name"] = made["agent"]["name"] = node
    made["container"] |= {"id": container_id, "image": {"name": pod["spec"]["containers"][0]["image"]}}
    kubernetes = made["kubernetes"]
    kubernetes["namespace"] = meta["namespace"]
    kubernetes["namespace_labels"] = {"kubernetes_io/metadata_name": meta["namespace"]}
    kubernetes["pod"] = {"name": meta["name"], "uid": meta["uid"], "ip": pod["status"]["podIP"]}
    kubernetes["node"]["name"] = kubernetes["node"]["hostname"] = node
    kubernetes["container"] = {"name": UNIT}
    kubernetes["replicaset"] = {"name": meta["name"].rpartition("-")[0]}
    kubernetes["labels"] = {name.replace(".", "_"): value for name, value in meta["labels"].items()}
    return made
