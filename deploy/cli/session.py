"""The composition root of the command line: settings to one `Platform`, opened and closed in order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from deploy.cluster import Cluster
from deploy.cluster.lock import LockSettings
from deploy.environments.gate import Gate
from deploy.operate import Platform, SpecRenderer
from deploy.operate.building import Builder
from deploy.operate.converge import Converger, Operations, Progress
from deploy.operate.exporter_figures import ExporterFigures
from deploy.operate.figures import Judge, PrometheusFigures
from deploy.operate.jobs import RebuildSettings
from deploy.operate.judging import Figures
from deploy.operate.lastlines import Logs
from deploy.operate.policy import Environments, chosen, gate_of, reached
from deploy.settings import Cluster as ClusterSettings
from milepost.kube import KubeClient, KubeSettings
from milepost.settings import SettingsError

Settings = Mapping[str, Any]
"""Group name → its settings, as `milepost.settings.load` returns them for `GROUPS`."""

GROUPS: Mapping[str, type] = {
    "kube": KubeSettings,
    "cluster": ClusterSettings,
    "operations": Operations,
    "lock": LockSettings,
    "judge": Judge,
    "logs": Logs,
    "environments": Environments,
    "rebuild": RebuildSettings,
}


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, author: str, progress: Callable[[Progress], None] = lambda _: None
) -> AsyncIterator[Platform]:
    """Yield the platform of these settings; its connections are closed at the end.

    Raises KubeConfigError, SettingsError, and PlatformError when the policy of the environment cannot be had.
    """
    environment = chosen(settings["environments"])
    reach = reached(settings["kube"], environment)
    async with KubeClient.load(settings=reach) as kube, aiohttp.ClientSession() as session:
        gate = await gate_of(environment, Cluster(kube))
        yield platform_of(settings, kube, session, author=author, progress=progress, gate=gate)


def figures_of(settings: Judge, session: aiohttp.ClientSession) -> Figures | None:
    """Return where the figures of judgement come from, None for nowhere. Raises SettingsError for two places."""
    if settings.prometheus and settings.exporter:
        raise SettingsError("judge.prometheus and judge.exporter are both set: a rollout is judged by one of them")
    if settings.exporter:
        return ExporterFigures(session, settings)
    return PrometheusFigures(session, settings) if settings.prometheus else None


def platform_of(
    settings: Settings,
    kube: KubeClient,
    session: aiohttp.ClientSession,
    *,
    author: str,
    progress: Callable[[Progress], None] = lambda _: None,
    gate: Gate | None = None,
) -> Platform:
    """Return the platform that acts through this client."""
    cluster = Cluster(kube)
    renderer = SpecRenderer(settings["cluster"], settle_s=settings["operations"].route_settle)
    figures = figures_of(settings["judge"], session)
    converger = Converger(
        cluster,
        renderer,
        figures,
        Builder(cluster, settings["rebuild"]),
        settings=settings["operations"],
        lock=settings["lock"],
        progress=progress,
    )
    return Platform(cluster, renderer, converger, author=author, logs=settings["logs"], gate=gate)
