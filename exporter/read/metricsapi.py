"""metrics.k8s.io: CPU and memory of every pod of the cluster, for clusters without the node exporter.

CPU is an average over the server's window, so it is a gauge; the node's counter is better where there is one. Format:
Kubernetes `staging/src/k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import msgspec

from exporter.cluster.gpu_request import quantity
from exporter.cluster.podindex import PodIndex
from exporter.objects import PodMetricsList
from exporter.page.observations import ContainerUsage
from exporter.page.samples import SourceResult
from milepost.kube import KubeClient, KubeError

PATH = "/apis/metrics.k8s.io/v1beta1/pods"


class MetricsApiSource:
    """The source `metrics-api`."""

    name = "metrics-api"

    def __init__(self, client: KubeClient, pods: PodIndex) -> None:
        self._client = client
        self._pods = pods

    async def collect(self, deadline: float) -> SourceResult:
        """List the usage of all pods; those of other shards are left out."""
        loop = asyncio.get_running_loop()
        started, now = loop.time(), time.time()
        try:
            body = await self._client.request("GET", PATH, timeout_s=max(0.001, deadline - started))
            usages = list(read_pod_metrics(body, self._pods, now=now))
        except KubeError as error:
            if error.status == 404:  # The cluster has no metrics server: nothing to read is no failure.
                return SourceResult(self.name, loop.time() - started, targets=0, targets_up=0)
            reason = f"http_{error.status}" if error.status else error.reason.lower()
            return SourceResult(self.name, loop.time() - started, error=reason, error_detail=str(error))
        except (msgspec.DecodeError, ValueError) as error:
            return SourceResult(self.name, loop.time() - started, error="page", error_detail=str(error))
        oldest = min((usage.at for usage in usages), default=now)
        return SourceResult(self.name, loop.time() - started, observations=usages, age_s=max(0.0, now - oldest))


def read_pod_metrics(body: bytes, pods: PodIndex, *, now: float) -> Iterator[ContainerUsage]:
    """Yield the use of every known container of our shard. Raises msgspec.DecodeError, ValueError (quantity)."""
    for item in msgspec.json.decode(body, type=PodMetricsList).items:
        entry = pods.pod(item.metadata.namespace, item.metadata.name)
        if entry is None or not pods.shard.owns(entry.uid):
            continue
        subjects = {container.subject.identity.container: container.subject for container in entry.containers}
        at = item.timestamp.timestamp() if item.timestamp else now
        for container in item.containers:
            subject = subjects.get(container.name)
            if subject is not None:
                cores, memory = quantity(container.usage, "cpu"), quantity(container.usage, "memory")
                yield ContainerUsage(subject, at, cpu_cores=cores, memory_bytes=memory)
