"""Containers that a test knows, as the exporter's index would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.page.family import Scope
from exporter.page.sink import Subject
from milepost.identity import Identity


class KnownContainers:
    """Finds the containers given to it, by every name that sources use."""

    def __init__(self, containers: Iterable[tuple[str, str, str, str, str]]) -> None:
        """Take (namespace, pod, container, container id, pod UID) rows."""
        self._by_name: dict[tuple[str, str, str], Subject] = {}
        self._by_id: dict[str, Subject] = {}
        self._by_uid: dict[str, list[Subject]] = {}
        for namespace, pod, container, container_id, uid in containers:
            identity = Identity(namespace=namespace, model="fraud", pod=pod, container=container, node="n1")
            subject = Subject.of(identity, Scope.CONTAINER)
            self._by_name[namespace, pod, container] = subject
            self._by_id[container_id] = subject
            self._by_uid.setdefault(uid, []).append(subject)

    def by_name(self, namespace: str, pod: str, container: str) -> Subject | None:
        return self._by_name.get((namespace, pod, container))

    def by_container_id(self, container_id: str) -> Subject | None:
        return self._by_id.get(container_id)

    def by_pod_uid(self, uid: str) -> Sequence[Subject]:
        return self._by_uid.get(uid, [])
