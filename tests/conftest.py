"""Fixtures of the real servers: started by the first test that asks, ended with the run.

A part that cannot be installed skips its tests and says why; in CI (`CI` is set) it fails them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.parts.install import Unavailable
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane

_Made = TypeVar("_Made")


def need(make: Callable[[], _Made]) -> _Made:
    """Return `make()`; a part that is not available skips the test, in CI it fails it."""
    try:
        return make()
    except Unavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(f"a part is not available in CI: {reason}")
        pytest.skip(f"a part is not available: {reason}")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running Kafka broker, shared: use a topic of your own, and restart what you stop."""
    broker = need(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka")))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running Kubernetes control plane, shared: use a namespace of your own, and start what you stop."""
    control_plane = need(lambda: ControlPlane(tmp_path_factory.mktemp("cluster")).start())
    yield control_plane
    control_plane.stop()
