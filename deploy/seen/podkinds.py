"""Pods and events as they are read: what became of each container, when, and what the cluster says about it.

Times stay the text that the API sends (RFC 3339, UTC), for most readers never look at them.
"""

from __future__ import annotations

import msgspec

from deploy.seen.kinds import Meta


class Ended(msgspec.Struct, frozen=True, rename="camel"):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Phase(msgspec.Struct, frozen=True):
    """The state of a container."""

    waiting: Waiting | None = None
    terminated: Ended | None = None


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """A container's status."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: Phase = Phase()
    last_state: Phase = Phase()

    @property
    def ended(self) -> Ended | None:
        """How it ended last."""
        return self.state.terminated or self.last_state.terminated


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """A condition of a pod."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status` of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: str | None = None
    conditions: list[Condition] = []
    container_statuses: list[Container] = []
    init_container_statuses: list[Container] = []


class Pod(msgspec.Struct, frozen=True):
    """A pod of the model."""

    metadata: Meta = Meta()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether it may get requests."""
        return any(item.type == "Ready" and item.status == "True" for item in self.status.conditions)


class Involved(msgspec.Struct, frozen=True, rename="camel"):
    """What an event is about; `field_path` is `spec.containers{name}` where it is about a container."""

    kind: str = ""
    name: str = ""
    field_path: str = ""

    @property
    def container(self) -> str:
        """The container's name; empty where it is not about one."""
        return self.field_path.partition("{")[2].rstrip("}")


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """A core/v1 Event. The old recorder writes `lastTimestamp` and `count`, the new one `eventTime` alone."""

    type: str = ""
    reason: str = ""
    message: str = ""
    involved_object: Involved = Involved()
    count: int | None = None
    event_time: str | None = None
    last_timestamp: str | None = None
