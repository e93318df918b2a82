"""Bearer tokens from a file, for machines and for servers without a cluster.

The file is YAML and holds digests, so that reading it gives nobody a token (`printf %s "$TOKEN" | sha256sum`):

    tokens:
      - name: grafana
        sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        groups: [readers]
        allow:
          - {verbs: [get], resources: [pods/log], namespaces: [prod, qa]}
          - {verbs: ["*"], resources: ["*"], groups: ["*"], namespaces: ["*"]}

A rule without `groups` is about the core group. A rule for named namespaces never answers a question about all of them.
The file is read again when it changes; a file that cannot be read or understood refuses everybody (503) and says why.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from milepost.caller import TOKEN_MAX_CHARS, Access, AuthUnavailable, Caller, Unauthenticated

FILE_MAX_BYTES = 1 << 20


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token may do; `*` stands for anything, in `resources` also `pods/*` for its subresources."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    namespaces: tuple[str, ...]
    groups: tuple[str, ...] = ("",)

    def permits(self, access: Access) -> bool:
        """Return whether this rule answers yes."""
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        wanted = {"*", resource, f"{access.resource}/*"} if access.subresource else {"*", resource}
        return (
            not {"*", access.verb}.isdisjoint(self.verbs)
            and not wanted.isdisjoint(self.resources)
            and not {"*", access.group}.isdisjoint(self.groups)
            and ("*" in self.namespaces or (access.namespace != "" and access.namespace in self.namespaces))
        )


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token of the file."""

    name: str
    sha256: str
    groups: tuple[str, ...] = ()
    allow: tuple[Rule, ...] = ()


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    tokens: list[Entry]


@dataclass(frozen=True, slots=True)
class _Loaded:
    version: tuple[int, int]
    by_digest: dict[str, Entry]
    by_name: dict[str, Entry]


class TokenFile:
    """The authorizer of a token file; nothing is read before the first request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: _Loaded | None = None

    async def authenticate(self, token: str | None) -> Caller:
        """Return the caller of a listed token; raises Unauthenticated, or AuthUnavailable for a broken file."""
        loaded = await asyncio.to_thread(self._current)
        if not token or len(token) > TOKEN_MAX_CHARS:
            raise Unauthenticated("a bearer token is needed" if not token else "the bearer token is too long")
        entry = loaded.by_digest.get(hashlib.sha256(token.encode()).hexdigest())
        if entry is None:
            raise Unauthenticated("the bearer token is not known here")
        return Caller(entry.name, entry.groups)

    async def allowed(
        self, caller: Caller, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> bool:
        """Return whether a rule of the caller's entry says yes; raises AuthUnavailable for a broken file."""
        loaded = await asyncio.to_thread(self._current)
        entry = loaded.by_name.get(caller.name)
        access = Access(verb, group, resource, subresource, namespace)
        return entry is not None and any(rule.permits(access) for rule in entry.allow)

    def _current(self) -> _Loaded:
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            if self._loaded is None or self._loaded.version != version:
                self._loaded = _load(self._path, version)
        except OSError as error:
            raise AuthUnavailable(f"the token file cannot be read: {error}") from error
        return self._loaded


def _load(path: Path, version: tuple[int, int]) -> _Loaded:
    if version[1] > FILE_MAX_BYTES:
        raise AuthUnavailable(f"the token file {path} has {version[1]} bytes, more than {FILE_MAX_BYTES}")
    try:
        content = msgspec.yaml.decode(path.read_bytes(), type=_Content)
    except msgspec.DecodeError as error:
        raise AuthUnavailable(f"the token file {path} is not as it should be: {error}") from error
    by_digest = {entry.sha256.lower(): entry for entry in content.tokens}
    by_name = {entry.name: entry for entry in content.tokens}
    bad = next((digest for digest in by_digest if len(digest) != 64 or not _is_hex(digest)), None)
    if bad is not None:
        raise AuthUnavailable(f"the token file {path}: the sha256 of {by_digest[bad].name!r} has no 64 hex digits")
    if not len(by_digest) == len(by_name) == len(content.tokens):
        raise AuthUnavailable(f"the token file {path} names a token or a caller twice")
    return _Loaded(version, by_digest, by_name)


def _is_hex(digest: str) -> bool:
    return set(digest) <= set("0123456789abcdef")
