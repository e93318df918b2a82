"""The last lines of a failing container, from the log-server's HTTP API.

It has those of pods long gone too. Where it is not configured or does not answer, that is said in place of the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp

from deploy.why import Finding
from milepost.settings import setting
from milepost.units import Bytes, Seconds

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Logs:
    """Where `why` finds the last lines of a container."""

    url: str = setting("", "URL of the log-server; empty: no lines are shown")
    token: str = setting("", "Bearer token for it", secret=True)
    lines: int = setting(10, "How many lines are shown of a failing container")
    timeout: Seconds = setting(Seconds(5), "Longest wait for the log-server")
    body_max: Bytes = setting(Bytes(256 << 10), "Largest answer of the log-server that is read")


async def lines_of(settings: Logs, namespace: str, findings: Sequence[Finding]) -> list[str]:
    """Return the last lines for each finding, in their order; at most `AT_ONCE` are asked for at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(finding: Finding) -> str:
        async with slots:
            return await last_lines(session, settings, namespace, finding)

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*map(one, findings)))


async def last_lines(session: aiohttp.ClientSession, settings: Logs, namespace: str, finding: Finding) -> str:
    """Return the last lines of the container that a finding is about, or why there are none; "" without a container."""
    if not finding.container:
        return ""
    if not settings.url:
        return "(no log lines: logs.url names no log-server)"
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(finding.pod)}/log"
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    params = {"container": finding.container, "tailLines": str(settings.lines)}
    timeout = aiohttp.ClientTimeout(total=settings.timeout)
    try:
        url = settings.url.rstrip("/") + path
        async with session.get(url, params=params, headers=headers, timeout=timeout) as answer:
            raw = await answer.content.read(settings.body_max)
            if answer.status != 200:
                return f"(no log lines: the log-server answered {answer.status})"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"(no log lines: the log-server does not answer: {error or type(error).__name__})"
    return raw.decode(errors="replace").rstrip()
