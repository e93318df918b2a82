"""A model as one line of a list: pure, from what is remembered, what Seldon says and what its Deployments count.

`state` is a word of `deploy.status.STATES`, decided in the same order as there, from the watched objects alone: a list
asks nothing of the API server. What a look at one model adds (fingerprints, endpoints) is not needed to say that all
replicas are there; where the two differ for a moment, the look is right.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from deploy.record import Record
from deploy.seen.kinds import Deployment, Seldon
from deploy.status import rollout_line


class Row(msgspec.Struct, frozen=True):
    """A model in a list. One that Milepost does not manage has revision 0 and no operation."""

    namespace: str
    name: str
    state: str
    seldon: str
    replicas: int
    available: int
    predictors: tuple[str, ...]
    labels: dict[str, str] = {}
    revision: int = 0
    operation: str = ""
    rollout: str = ""
    managed: bool = False


class Counted(msgspec.Struct, frozen=True):
    """A Deployment's replicas; `settled` when its controller has brought all of them to its last generation."""

    wanted: int
    available: int
    settled: bool


class Remembered(msgspec.Struct, frozen=True):
    """What a list needs of a record. `deployed` False: only the history is left."""

    deployed: bool
    deleting: bool
    revision: int
    operation: str
    operation_state: str
    rollout: str


class Operated(msgspec.Struct, frozen=True):
    """What a list needs of a SeldonDeployment."""

    state: str
    predictors: tuple[str, ...]
    labels: dict[str, str]
    going: bool


def remembered(record: Record) -> Remembered:
    """Return what a list needs of this record."""
    operation = record.operation
    return Remembered(
        deployed=record.stable is not None,
        deleting=record.deleting,
        revision=record.stable.revision if record.stable else 0,
        operation=f"{operation.verb} {operation.state}" if operation else "",
        operation_state=operation.state if operation else "",
        rollout=rollout_line(record),
    )


def operated(item: Seldon) -> Operated:
    """Return what a list needs of this SeldonDeployment."""
    names = tuple(predictor.name for predictor in item.spec.predictors)
    return Operated(item.status.state, names, item.metadata.labels, item.metadata.deletion_timestamp is not None)


def counted(item: Deployment) -> Counted:
    """Return what a list needs of this Deployment."""
    status, wanted = item.status, item.spec.replicas
    observed = status.observed_generation >= item.metadata.generation
    settled = observed and wanted == status.updated_replicas == status.available_replicas == status.replicas
    return Counted(wanted, status.available_replicas, settled)


def row_of(
    namespace: str, name: str, seldon: Operated | None, record: Remembered | None, counts: Iterable[Counted]
) -> Row | None:
    """Return the row of a model, or None when there is none: neither deployed nor wanted."""
    if seldon is None and (record is None or not record.deployed):
        return None
    found = tuple(counts)
    row = Row(
        namespace,
        name,
        _state(seldon, record, found),
        seldon.state if seldon else "",
        sum(one.wanted for one in found),
        sum(one.available for one in found),
        seldon.predictors if seldon else (),
        seldon.labels if seldon else {},
    )
    if record is None:
        return row
    return msgspec.structs.replace(
        row, revision=record.revision, operation=record.operation, rollout=record.rollout, managed=True
    )


def _state(seldon: Operated | None, record: Remembered | None, counts: tuple[Counted, ...]) -> str:
    if (record and record.deleting) or (seldon and seldon.going):
        return "deleting"
    working = {"running": "progressing", "paused": "paused", "failed": "failed"}
    if record and record.operation_state in working:
        return working[record.operation_state]
    return "ready" if seldon and counts and all(one.settled for one in counts) else "unready"
