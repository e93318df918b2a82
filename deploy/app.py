"""`milepost platform`: the HTTP API and the watches behind it, as sibling root tasks; when one ends, all end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import click
import uvicorn

from deploy.api import Job, Jobs, Server, Streams, create_app
from deploy.api.answers import PlatformOf
from deploy.cli.session import GROUPS, platform_of
from deploy.cluster import Cluster
from deploy.cluster.cache import ModelCache
from deploy.cluster.worklist import Entry, Worklist
from deploy.environments.gate import Gate
from deploy.errors import Busy, PlatformError
from deploy.metrics import Metrics
from deploy.operate import Platform
from deploy.operate.converge import Progress
from deploy.operate.policy import Followed
from deploy.operate.resume import Pace, Resumer
from milepost.auth import ANONYMOUS, AuthSettings, Caller, open_authorizer
from milepost.kube import KubeClient, KubeConfigError
from milepost.settings import SettingsError, add_options, load

SERVER_GROUPS: Mapping[str, type] = {**GROUPS, "platform": Server, "auth": AuthSettings}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@add_options(SERVER_GROUPS)
def platform(config: Path | None, **flags: str | None) -> None:
    """Run the model platform's HTTP API."""
    try:
        asyncio.run(serve(load(SERVER_GROUPS, flags=flags, env=os.environ, file=config)))
    except (SettingsError, KubeConfigError, PlatformError) as error:
        raise click.ClickException(str(error)) from error


async def serve(settings: Mapping[str, Any]) -> None:
    """Serve until the server is told to stop; raises what ended a root task."""
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(KubeClient.load(settings=settings["kube"]))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        listen = settings["platform"]
        cache = ModelCache(changes_kept=listen.changes_kept)
        worklist = Worklist(Cluster(kube), listen.namespace or kube.namespace) if listen.resume else None
        metrics = Metrics()
        jobs = Jobs(listen.jobs_max, worklist, metrics)
        streams = Streams(listen.watches_max, listen.heartbeat)
        stack.push_async_callback(jobs.stop)
        authorizer = open_authorizer(settings["auth"], kube)
        platforms = caller_platform(settings, kube, session)
        app = create_app(authorizer, platforms, cache, jobs, streams=streams, settings=listen, metrics=metrics)
        server = _Server(
            uvicorn.Config(
                app,
                host=listen.host,
                port=listen.port,
                log_level="info",
                timeout_graceful_shutdown=int(listen.shutdown_timeout),
            ),
            streams,
        )
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(cache.follow(kube))]
            if worklist is not None:
                beside.append(
                    tasks.create_task(resumer(settings, kube, worklist, jobs, platforms, metrics=metrics).run())
                )
            await server.serve()
            for task in beside:
                task.cancel()


class _Server(uvicorn.Server):
    """Ends the streams first: nobody would wait in vain for requests that never end by themselves."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving, streams first."""
        self._streams.close()
        await super().shutdown(sockets)


def resumer(
    settings: Mapping[str, Any],
    kube: KubeClient,
    worklist: Worklist,
    jobs: Jobs,
    platform_of: PlatformOf,
    *,
    metrics: Metrics,
) -> Resumer:
    """Return what goes on with jobs that were left undone, each as its caller."""
    listen, lock = settings["platform"], settings["lock"]

    def go_on(entry: Entry) -> asyncio.Task[bool] | None:
        if jobs.running(entry.id):
            return None
        job = Job(entry.id, entry.namespace, entry.name, entry.verb, owner=entry.caller.name)
        platform = platform_of(entry.caller, lambda progress: job.tell(progress.message))
        # Just long enough to take over the lock of a dead process; a living one is not waited for.
        platform.converger.lock = dataclasses.replace(lock, wait=lock.duration * 2)
        try:
            task = jobs.start(job, platform)
        except Busy:
            return None
        metrics.counter("resumed_total", entry.verb).inc()
        return task

    pace = Pace(listen.resume_every, listen.resume_at_once, listen.resume_backoff_max)
    return Resumer(Cluster(kube), worklist, go_on, pace=pace, lock=lock)


def caller_platform(
    settings: Mapping[str, Any],
    kube: KubeClient,
    session: aiohttp.ClientSession,
) -> Callable[[Caller, Callable[[Progress], None]], Platform]:
    """Return what makes a platform that acts as a caller, within the environment's policy, and tells its progress."""
    followed = Followed(settings["environments"])

    def of(caller: Caller, progress: Callable[[Progress], None]) -> Platform:
        # Without authentication (loopback only) there is nobody to act for but ourselves.
        anonymous = caller.name == ANONYMOUS
        client = kube if anonymous else kube.as_user(
            caller.name, caller.groups, uid=caller.uid, extra=dict(caller.extra)
        )  # fmt: skip
        environment = followed.now()
        gate = Gate(environment, caller) if environment else None
        return platform_of(settings, client, session, author=caller.name, progress=progress, gate=gate)

    return of
