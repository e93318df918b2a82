"""Who calls one of Milepost's HTTP servers, and what that caller may see or do.

Three authorizers behind one protocol: `AllowAll` for loopback, `TokenFile` for machines without a cluster, and
`KubernetesAuth`, which asks the cluster. A program takes `AuthSettings` into its settings and calls `open_authorizer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milepost.caller import ANONYMOUS, Access, AllowAll, Authorizer, AuthUnavailable, Caller, Unauthenticated
from milepost.kube import KubeClient
from milepost.kube_auth import KubernetesAuth
from milepost.settings import SettingsError, setting
from milepost.token_file import TokenFile
from milepost.units import Seconds

__all__ = [
    "ANONYMOUS",
    "Access",
    "AllowAll",
    "AuthSettings",
    "AuthUnavailable",
    "Authorizer",
    "Caller",
    "KubernetesAuth",
    "TokenFile",
    "Unauthenticated",
    "bearer_token",
    "open_authorizer",
]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who may use this server."""

    mode: str = setting(
        "none",
        "none: everybody who reaches the port; kubernetes: bearer tokens and permissions of the cluster; "
        "token-file: those of a file",
        choices=("none", "kubernetes", "token-file"),
    )
    token_file: str = setting("", "The file of mode token-file, read again when it changes")
    audience: str = setting("", "Audience a token must be issued for (mode kubernetes); empty: the API server's own")
    timeout: Seconds = setting(Seconds(5), "Longest wait for the cluster's answer about a caller")
    cache_for: Seconds = setting(Seconds(10), "How long an answer about a caller is used again")
    cache_max: int = setting(4096, "Most answers remembered")


def open_authorizer(settings: AuthSettings, client: KubeClient | None) -> Authorizer:
    """Return the authorizer of these settings; `client` is needed by mode kubernetes alone. Raises SettingsError."""
    if settings.mode == "none":
        return AllowAll()
    if settings.mode == "token-file":
        if not settings.token_file:
            raise SettingsError("auth.mode is token-file, but auth.token_file names no file")
        return TokenFile(Path(settings.token_file))
    if client is None:
        raise SettingsError("auth.mode is kubernetes, but there is no connection to a cluster")
    return KubernetesAuth(
        client,
        audience=settings.audience,
        timeout_s=settings.timeout,
        cache_for_s=settings.cache_for,
        cache_max=settings.cache_max,
    )


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an Authorization header (RFC 6750), None when it holds none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None
