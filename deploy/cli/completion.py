"""Completes NAMESPACE/NAME in the shell from the models of the cluster that the options typed so far name.

A cluster that does not answer in time completes nothing: a shell must neither hang nor print errors.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from deploy.cli.session import GROUPS, Settings
from deploy.errors import PlatformError
from deploy.objects import SELDON, collection_path
from deploy.operate.policy import chosen, reached
from deploy.seen.kinds import Meta
from milepost.kube import KubeClient, KubeConfigError, KubeError
from milepost.settings import SettingsError, load

ANSWER_S = 2.0
MODELS_MAX = 200


class _Item(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()


class _Items(msgspec.Struct, frozen=True):
    items: list[_Item] = []


def complete_key(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the models whose key starts with what is typed, at most `MODELS_MAX`."""
    flags = {key: value for key, value in ctx.params.items() if key.startswith(("kube_", "environments_"))}
    if ctx.params.get("env"):
        flags["environments_name"] = ctx.params["env"]
    try:
        settings = load(GROUPS, flags=flags, env=os.environ, file=ctx.params.get("config"))
        keys = asyncio.run(_keys(settings, incomplete))
    except (SettingsError, KubeConfigError, KubeError, PlatformError, TimeoutError):
        return []
    return [CompletionItem(key) for key in keys if key.startswith(incomplete)][:MODELS_MAX]


async def _keys(settings: Settings, typed: str) -> list[str]:
    environment = chosen(settings["environments"])
    namespace, slash, _ = typed.partition("/")
    async with asyncio.timeout(ANSWER_S), KubeClient.load(settings=reached(settings["kube"], environment)) as kube:
        if slash:
            found = await _models(kube, environment.place(namespace) if environment else namespace)
            return [f"{namespace}/{item.name}" for item in found]
        try:
            found = await _models(kube, None)
        except KubeError:
            found = await _models(kube, kube.namespace)
        return [f"{item.namespace}/{item.name}" for item in found]


async def _models(kube: KubeClient, namespace: str | None) -> list[Meta]:
    pages: Any = kube.list_pages(collection_path(SELDON, "seldondeployments", namespace), {})
    return [item.metadata async for page in pages for item in msgspec.json.decode(page, type=_Items).items]
