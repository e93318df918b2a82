"""The vocabulary of access: who calls, what is asked, and the protocol of everything that can answer.

All authorizers fail closed: an answer that cannot be had is `AuthUnavailable` (503), never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

TOKEN_MAX_CHARS = 16384
"""A longer bearer token is refused unread; service account tokens have about 1,000 characters."""
ANONYMOUS = "system:anonymous"


class Unauthenticated(Exception):  # noqa: N818 - the HTTP word
    """There is no token, or it is not valid: 401, with a new token the caller may come again."""


class AuthUnavailable(Exception):  # noqa: N818 - the HTTP word
    """Whether the caller may do this cannot be found out now: 503."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user, as Kubernetes describes one: UserInfo of a TokenReview."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """One question: may somebody do `verb` on this resource; an empty namespace means all of them."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""


class Authorizer(Protocol):
    """What a server needs in order to protect its routes."""

    async def authenticate(self, token: str | None) -> Caller:
        """Return who holds this bearer token; raises Unauthenticated or AuthUnavailable."""
        ...

    async def allowed(
        self, caller: Caller, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> bool:
        """Return whether the caller may; an empty namespace asks about all. Raises AuthUnavailable."""
        ...


class AllowAll:
    """Everybody may do everything: for a server bound to loopback."""

    async def authenticate(self, token: str | None) -> Caller:
        """Return the anonymous caller, whatever the token."""
        return Caller(ANONYMOUS)

    async def allowed(
        self, caller: Caller, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> bool:
        """Return True."""
        return True
