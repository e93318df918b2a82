"""Filebeat documents in bulk: about 1.7 KB each, a known sequence number in every message, believable repetition.

Filebeat writes the fields of a document in another order each time; here each file has ORDERS of them.
"""

from __future__ import annotations

import datetime
import json
import random

from logserver.demo.fleet import in_any_order

FILES = 48
MODELS = 8
ORDERS = 16
BYTES_PER_LINE = 160


class Documents:
    """Makes the document of any sequence number; the same number gives the same bytes."""

    def __init__(self, start: datetime.datetime, *, lines_per_second: int = 500) -> None:
        self._start = start
        self._lines_per_second = lines_per_second
        rng = random.Random(FILES)
        self._templates = [[_template(file, rng) for _ in range(ORDERS)] for file in range(FILES)]

    def key(self, number: int) -> bytes:
        """Return the Kafka key: one per file, so that a file's lines stay in one partition."""
        return b"pod-%d" % (number % FILES)

    def value(self, number: int) -> bytes:
        """Return the document; time goes on by `lines_per_second`, so a long run crosses midnight."""
        file = number % FILES
        moment = self._start + datetime.timedelta(seconds=number / self._lines_per_second)
        in_file = number // FILES
        fields = {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "message": _message(number, moment),
            "offset": in_file * BYTES_PER_LINE,
        }
        return (self._templates[file][in_file % ORDERS] % fields).encode()


def model_of(number: int) -> str:
    """Return the model whose line has this number."""
    return f"iris{number % MODELS}"  # FILES is a multiple of MODELS


def pod_of(number: int) -> str:
    """Return the pod whose line has this number."""
    file = number % FILES
    return f"iris-default-{file}-classifier-6c9f7d8b54-x{file:04d}"


def _message(number: int, moment: datetime.datetime) -> str:
    choose = random.Random(number)
    time = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d}"
    return (
        f"{time} - root:predict:118 - {choose.choice(('INFO', 'INFO', 'INFO', 'WARNING', 'ERROR'))}: request {number} "
        f"of client {choose.randint(1, 400)} took {choose.randint(1, 90_000) / 100} ms, "
        f"{choose.randint(1, 12)} columns, score {choose.randint(0, 999) / 1000}"
    )


def _template(file: int, rng: random.Random) -> str:
    """Return the document's text, its fields in an order of their own, with places for time, message and offset."""
    pod, model = pod_of(file), model_of(file)
    container_id = f"{file:064x}"
    fields = in_any_order(
        {
            "message": "%(message)s",
            "stream": "stderr",
            "input": {"type": "filestream"},
            "ecs": {"version": "8.0.0"},
            "log": {
                "offset": "%(offset)d",
                "file": {
                    "path": f"/var/log/containers/{pod}_models_classifier-{container_id}.log",
                    "device_id": "66305",
                    "inode": str(5_243_921 + file),
                    "fingerprint": f"{file:064x}",
                },
            },
            "host": {"name": "node-a1"},
            "agent": {
                "id": "6d3e0f2a-0c1b-4f0e-9a63-5be2a1f09c11",
                "name": "node-a1",
                "type": "filebeat",
                "version": "9.1.2",
                "ephemeral_id": "0b1c5d3e-7d0f-4a55-9d53-1c6a2f1e8b42",
            },
            "container": {
                "id": container_id,
                "runtime": "containerd",
                "image": {"name": "registry.local/ml/iris:1.4.0"},
            },
            "kubernetes": {
                "namespace": "models",
                "namespace_uid": "e2c4a0f6-4d7f-4a0e-8f6b-0d8a3c5b7e19",
                "namespace_labels": {"kubernetes_io/metadata_name": "models"},
                "pod": {"name": pod, "uid": f"3f5a0000-0000-4000-8000-{file:012d}", "ip": "10.42.1.17"},
                "node": {
                    "name": "node-a1",
                    "uid": "77aa1b2c-3d4e-4f5a-8b6c-7d8e9f0a1b2c",
                    "hostname": "node-a1",
                    "labels": {"kubernetes_io/arch": "amd64", "kubernetes_io/os": "linux"},
                },
                "replicaset": {"name": "iris-default-0-classifier-6c9f7d8b54"},
                "container": {"name": "classifier"},
                "labels": {
                    "app": "iris-default-0-classifier",
                    "app_kubernetes_io/managed-by": "seldon-core",
                    "pod-template-hash": "6c9f7d8b54",
                    "seldon-app": f"{model}-default",
                    "seldon-deployment-id": model,
                    "version": "default",
                },
            },
        },
        rng,
    )
    beat = {"beat": "filebeat", "type": "_doc", "version": "9.1.2"}
    text = json.dumps({"@timestamp": "%(time)s", "@metadata": beat, **fields}, separators=(",", ":"))
    # The offset is a number: its place loses the quotes.
    return text.replace('"%(offset)d"', "%(offset)d")
