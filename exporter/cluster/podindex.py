"""The pods known from the Kubernetes API: apply one object, find a container by any of its names. Pure; no clock.

With several shards every exporter hears of every pod (the API has no such filter), but renders the lines and reads the
pages of its own pods only: pod UID by MD5 modulo the number of shards, as kube-state-metrics does. What is not a pod
belongs to the first shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from exporter.cluster.podlines import add_state
from exporter.cluster.pods import ContainerEntry, PodEntry, pod_entry
from exporter.objects import Pod
from exporter.page.blocks import BlockBuilder, Shapes
from exporter.page.samples import Samples
from exporter.page.sink import Subject


@dataclass(frozen=True, slots=True)
class Shard:
    """This exporter's share of the pods."""

    index: int = 0
    count: int = 1

    def owns(self, uid: str) -> bool:
        """Say whether a pod with this UID is ours."""
        if self.count == 1:
            return True
        digest = hashlib.md5(uid.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index


class PodIndex:
    """All pods heard of; implements `Containers`.

    Caller: one event loop; the watch writes, sources and the JSON API read. With `render`, a pod's state samples
    are made when it changes.
    """

    def __init__(self, *, render: bool, shard: Shard | None = None) -> None:
        self.shard = shard or Shard()
        self._render = render
        self._shapes = Shapes()
        self._by_uid: dict[str, PodEntry] = {}
        self._by_container_id: dict[str, Subject] = {}
        self._uid_by_name: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[PodEntry]:
        return iter(self._by_uid.values())

    def own(self) -> Iterator[PodEntry]:
        """Yield the pods of our shard."""
        return (entry for entry in self if self.shard.owns(entry.uid))

    def apply(self, raw: bytes, *, deleted: bool) -> tuple[str, str]:
        """Take a pod's newest state, or forget it; return its (namespace, name).

        Raises msgspec.DecodeError, ValueError for a bad quantity.
        """
        pod = msgspec.json.decode(raw, type=Pod)
        name = (pod.metadata.namespace, pod.metadata.name)
        uid = pod.metadata.uid or self._uid_by_name.get(name, "")
        if deleted:
            self._forget(uid)
            if self._uid_by_name.get(name) == uid:
                del self._uid_by_name[name]
            return name
        entry = pod_entry(pod)
        if self._render and self.shard.owns(uid):
            state = BlockBuilder(self._shapes)
            add_state(state, pod, entry)
            entry = replace(entry, state=state.build())
        self._forget(uid)
        self._by_uid[uid] = entry
        self._uid_by_name[name] = uid
        for container in entry.containers:
            if container.container_id:
                self._by_container_id[container.container_id] = container.subject
        return name

    def retain(self, keys: set[tuple[str, str]]) -> None:
        """Forget all pods but those of these names."""
        for key in self._uid_by_name.keys() - keys:
            self._forget(self._uid_by_name.pop(key))

    def add_lines(self, out: Samples) -> None:
        """Add the state of all rendered pods."""
        for entry in self:
            if entry.state is not None:
                out.add_block(entry.state)

    def pod(self, namespace: str, name: str) -> PodEntry | None:
        """Find a pod by its name."""
        return self._by_uid.get(self._uid_by_name.get((namespace, name), ""))

    def container(self, namespace: str, pod: str, container: str) -> ContainerEntry | None:
        """Find a container by its names, with its limits."""
        entry = self.pod(namespace, pod)
        if entry is None:
            return None
        return next((c for c in entry.containers if c.subject.identity.container == container), None)

    def by_container_id(self, container_id: str) -> Subject | None:
        """Find a container by its runtime id (64 hex digits, no scheme)."""
        return self._by_container_id.get(container_id)

    def by_pod_uid(self, uid: str) -> Sequence[Subject]:
        """Return the containers of a pod."""
        entry = self._by_uid.get(uid)
        return [container.subject for container in entry.containers] if entry else ()

    def by_name(self, namespace: str, pod: str, container: str) -> Subject | None:
        """Find a container by its names."""
        found = self.container(namespace, pod, container)
        return found.subject if found else None

    def _forget(self, uid: str) -> None:
        before = self._by_uid.pop(uid, None)
        for container in before.containers if before else ():
            self._by_container_id.pop(container.container_id, None)
