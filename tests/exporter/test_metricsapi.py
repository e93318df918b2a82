"""metrics.k8s.io as a source: quantities read, unknown pods left out, absent is not failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.page.observations import ContainerUsage
from exporter.read.metricsapi import PATH, MetricsApiSource
from milepost.kube import KubeClient, KubeError
from tests.exporter.scene import cluster

ANSWER = (Path(__file__).parent / "pod-metrics.json").read_bytes()


class AnsweringClient(KubeClient):
    """A client that gives one answer, or raises it."""

    def __init__(self, answer: bytes | KubeError) -> None:
        self._answer = answer

    async def request(  # type: ignore[override]
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> bytes:
        assert (method, path) == ("GET", PATH)
        assert timeout_s is not None
        assert 0 < timeout_s <= 5
        if isinstance(self._answer, KubeError):
            raise self._answer
        return self._answer


def source(answer: bytes | KubeError) -> MetricsApiSource:
    return MetricsApiSource(AnsweringClient(answer), cluster().pods)


def deadline() -> float:
    return asyncio.get_running_loop().time() + 5


async def test_every_known_container_has_its_cores_and_bytes() -> None:
    result = await source(ANSWER).collect(deadline())
    read = {
        usage.subject.identity.container: (usage.cpu_cores, usage.memory_bytes)
        for usage in result.observations
        if isinstance(usage, ContainerUsage)
    }
    assert read == {
        "classifier": (0.012345678, 71680 * 1024),
        "seldon-container-engine": (0.002, 64 * 2**20),
    }
    assert (result.error, result.targets_up) == ("", 1)


@pytest.mark.parametrize(
    ("answer", "error", "targets"),
    [
        (KubeError(404, "NotFound", "the server could not find the requested resource"), "", 0),
        (KubeError(503, "ServiceUnavailable", "the server is currently unable to handle the request"), "http_503", 1),
        (KubeError(0, "Timeout", "no answer"), "timeout", 1),
        (b"<html>", "page", 1),
        (ANSWER.replace(b"71680Ki", b"much"), "page", 1),
    ],
)  # fmt: skip
async def test_a_cluster_without_a_metrics_server_is_no_failure_and_a_broken_one_is(
    answer: bytes | KubeError, error: str, targets: int
) -> None:
    result = await source(answer).collect(deadline())
    assert (result.error, result.targets, list(result.observations)) == (error, targets, [])
