"""A pod's state as samples: who it is, is it ready, what it asks for, how it last ended. Pure."""

from __future__ import annotations

from datetime import datetime

from exporter.cluster.gpu_request import GpuRequest, Quantities, quantity
from exporter.cluster.pods import PodEntry, container_statuses, last_ended, spec_containers, termination_reason
from exporter.objects import Container, ContainerStatus, Pod
from exporter.page import families as fam
from exporter.page.family import Family
from exporter.page.sink import Sink, Subject


def add_state(out: Sink, pod: Pod, entry: PodEntry) -> None:
    """Add every state family that has something to say of this pod."""
    subject, by_name = entry.subject, {c.subject.identity.container: c for c in entry.containers}
    owner = next((o for o in pod.metadata.owner_references if o.controller), None)
    created_by = f"{owner.kind}/{owner.name}" if owner else ""
    out.add_own(fam.POD_INFO, subject, 1, pod.metadata.uid, pod.status.pod_ip, created_by)
    out.add(fam.POD_READY, subject, int(entry.ready))
    if entry.reason:
        out.add(fam.POD_NOT_READY, subject, 1, entry.reason)
    _add_time(out, fam.POD_START, subject, pod.status.start_time)
    for name, (_, container) in spec_containers(pod).items():
        _add_resources(out, by_name[name].subject, container)
        if gpu := by_name[name].gpu:
            _add_gpu(out, by_name[name].subject, gpu)
    for name, status in container_statuses(pod).items():
        _add_status(out, by_name[name].subject, status)


def _add_resources(out: Sink, subject: Subject, container: Container) -> None:
    out.add_own(fam.CONTAINER_INFO, subject, 1, container.image)
    asked = container.resources
    limits: Quantities | None = asked.limits if asked else None
    # The API server writes a limit into the request where none is given; a mirror pod's object may lack it.
    requests: Quantities = {**(limits or {}), **((asked.requests if asked else None) or {})}
    for family, resources, name in (
        (fam.CPU_REQUEST, requests, "cpu"),
        (fam.CPU_LIMIT, limits, "cpu"),
        (fam.MEMORY_REQUEST, requests, "memory"),
        (fam.MEMORY_LIMIT, limits, "memory"),
    ):
        value = quantity(resources, name)
        if value is not None:
            out.add(family, subject, value)


def _add_gpu(out: Sink, subject: Subject, gpu: GpuRequest) -> None:
    out.add(fam.GPU_REQUEST, subject, gpu.cards)
    out.add(fam.GPU_LIMIT, subject, gpu.cards_limit)
    if gpu.memory_bytes:
        out.add(fam.GPU_MEMORY_REQUEST, subject, gpu.memory_bytes)
        out.add(fam.GPU_MEMORY_LIMIT, subject, gpu.memory_bytes)
    for index in gpu.assigned:
        out.add(fam.GPU_ASSIGNED, subject, 1, index)


def _add_status(out: Sink, subject: Subject, status: ContainerStatus) -> None:
    out.add(fam.CONTAINER_RESTARTS, subject, status.restart_count)
    out.add(fam.CONTAINER_READY, subject, int(status.ready))
    if status.state and status.state.running:
        _add_time(out, fam.CONTAINER_START, subject, status.state.running.started_at)
    if ended := last_ended(status):
        out.add(fam.LAST_TERMINATION, subject, 1, termination_reason(ended), str(ended.exit_code))
        _add_time(out, fam.LAST_TERMINATION_TIME, subject, ended.finished_at)


def _add_time(out: Sink, family: Family, subject: Subject, at: datetime | None) -> None:
    if at is not None:
        out.add(family, subject, at.timestamp())
