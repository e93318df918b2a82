"""Registration in ZooKeeper: an ephemeral entry for each service, made again whenever a session was lost.

kazoo runs in threads of its own; nothing of the event loop waits for it. An entry counts as ours only while our session
owns it: one that an earlier session left behind would vanish with that session.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_acl

from deploy.dubbo.metrics import Metrics
from deploy.dubbo.settings import RegistrySettings, secret_of
from milepost.settings import SettingsError

log = logging.getLogger(__name__)

_CALL_S = 10.0
_RETRY_S = 1.0
_RECONNECT_S_MAX = 2.0
_GOODBYE_S = 3.0


class Entry(NamedTuple):
    """An entry to keep: its folder, and its name, which is all that it says."""

    folder: str
    name: str


class Registry:
    """The entries of this process: `run` keeps them, `leave` ends them."""

    def __init__(self, settings: RegistrySettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._credentials = _credentials(settings.auth_file)
        self._client = _client(settings, self._credentials)
        self._entries: dict[str, str] = {}
        self._here: set[str] = set()
        self.announced = False
        """Whether all entries were there at once, ever: what became of them since is for the metrics to tell."""
        self._changed = asyncio.Event()
        self._listener: Callable[[str], object] | None = None

    @property
    def _complete(self) -> bool:
        return bool(self._entries) and len(self._here) == len(self._entries)

    async def run(self, entries: Sequence[Entry]) -> None:
        """Keep these entries in ZooKeeper; never returns."""
        self._entries = {f"{entry.folder}/{entry.name}": entry.folder for entry in entries}
        self._metrics.gauge("registry_services_wanted").set(len(self._entries))
        loop = asyncio.get_running_loop()
        self._listener = lambda state: loop.call_soon_threadsafe(self._note, state)
        self._client.add_listener(self._listener)
        self._client.start_async()
        while True:
            done = self._client.connected and await self._register()
            wait_s = self._settings.check_interval if done or not self._client.connected else _RETRY_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def leave(self) -> None:
        """End the session, and the entries with it, so that callers learn of a stop before it comes."""
        self._forget()
        if self._listener is not None:
            # The end that we make ourselves is no news.
            self._client.remove_listener(self._listener)
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await asyncio.to_thread(self._close)
        except TimeoutError:
            log.warning("ZooKeeper does not answer; the entries go when the session times out")

    def _note(self, state: str) -> None:
        connected = state == KazooState.CONNECTED
        log.info("ZooKeeper: %s", state.lower())
        self._metrics.gauge("registry_connected").set(connected)
        if state == KazooState.LOST:
            self._forget()
        if connected:
            self._changed.set()

    def _forget(self) -> None:
        self._here.clear()
        self._metrics.gauge("registry_services").set(0)

    async def _register(self) -> bool:
        try:
            for path, folder in self._entries.items():
                if await asyncio.to_thread(self._ensure, path, folder):
                    self._metrics.counter("registrations_total").inc()
                    # Not the entry's name: it may have the token in it.
                    log.info("registered in %s", folder)
                self._here.add(path)
        except (KazooException, KazooTimeoutError) as error:
            log.warning("registration failed, next try in %g s: %r", _RETRY_S, error)
            self._here.discard(path)
        self._metrics.gauge("registry_services").set(len(self._here))
        self.announced = self.announced or self._complete
        return self._complete

    # In threads from here on.

    def _ensure(self, path: str, folder: str) -> bool:
        """Make the entry unless it is ours; returns whether it was made."""
        owner = self._wait(self._client.exists_async(path))
        if owner is not None:
            if owner.ephemeralOwner == self._client.client_id[0]:
                return False
            self._wait(self._client.delete_async(path))
        self._wait(self._client.ensure_path_async(folder, acl=self._folder_acl()))
        self._wait(self._client.create_async(path, b"", acl=self._entry_acl(), ephemeral=True))
        return True

    def _close(self) -> None:
        self._client.stop()
        self._client.close()

    def _wait(self, result: Any) -> Any:
        return result.get(timeout=_CALL_S)

    def _entry_acl(self) -> list[ACL]:
        if not self._credentials:
            return list(OPEN_ACL_UNSAFE)
        return [make_acl("auth", "", all=True), make_acl("world", "anyone", read=True)]

    def _folder_acl(self) -> list[ACL]:
        # Callers note themselves down beside the providers, and other providers come with other credentials.
        if not self._credentials:
            return list(OPEN_ACL_UNSAFE)
        return [make_acl("auth", "", all=True), make_acl("world", "anyone", read=True, create=True)]


def _client(settings: RegistrySettings, credentials: str) -> KazooClient:
    try:
        return KazooClient(
            hosts=settings.zookeeper,
            timeout=settings.session_timeout,
            auth_data=[("digest", credentials)] if credentials else [],
            # Its own default waits up to a minute between tries, in which no caller would find us.
            connection_retry={"max_tries": -1, "max_delay": _RECONNECT_S_MAX},
        )
    except ValueError as error:
        raise SettingsError(f"registry.zookeeper {settings.zookeeper!r} is not host:port,…: {error}") from error


def reaching(zookeeper: str) -> str:
    """Return our address on the way to the first ZooKeeper. Raises SettingsError."""
    host, _, port = zookeeper.split(",", maxsplit=1)[0].rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            # A datagram socket sends nothing when it is connected; it only gets an address.
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, ValueError) as error:
        raise SettingsError(f"registry.zookeeper {zookeeper!r}: {error}; set registry.address") from error


def _credentials(file: str) -> str:
    if not file:
        return ""
    text = secret_of("registry.auth_file", file)
    if ":" not in text:
        raise SettingsError(f"registry.auth_file {file!r} must have one line, user:password")
    return text
