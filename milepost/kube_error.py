"""What went wrong in the Kubernetes API, drawn by who must act.

Every failure of a request is a `KubeError`: the server's own Status object, or no answer at all (`status` 0). Whether
trying again may help is a property of the error, not of the caller: a conflict or a refusal never becomes right by
itself, an overloaded or unreachable server may.

The Status object: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/. Its message can quote
rejected values, so that of a Secret is never repeated, and no error carries a request's headers or body.
"""

from __future__ import annotations

import msgspec

MESSAGE_MAX_CHARS = 2000
UNREACHABLE = "Unreachable"
TIMEOUT = "Timeout"
TOO_LARGE = "ResponseTooLarge"

_TRANSIENT = frozenset({0, 408, 429, 500, 502, 503, 504})


class Cause(msgspec.Struct, frozen=True):
    """One reason inside a Status: the field at fault, and for a server-side apply conflict who owns it."""

    reason: str = ""
    message: str = ""
    field: str = ""


class KubeError(Exception):
    """A request to the Kubernetes API failed.

    `status` is the HTTP status, 0 when no answer came; `reason` the machine-readable word of the Status object
    (`NotFound`, `Conflict`, `Expired`, ...) or `Unreachable`, `Timeout`, `ResponseTooLarge`.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        causes: tuple[Cause, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        answer = f"{self.status} {self.reason}" if self.status else self.reason
        return f"Kubernetes API: {answer}: {self.message}"

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _TRANSIENT and self.reason != TOO_LARGE

    @property
    def expired(self) -> bool:
        """Whether a resourceVersion or continue token is too old, so that only a new list helps."""
        return self.status == 410


class _Details(msgspec.Struct):
    causes: tuple[Cause, ...] | None = None
    retryAfterSeconds: float | None = None  # noqa: N815 - the wire's name


class _Status(msgspec.Struct):
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def error_from_answer(status: int, body: bytes, *, path: str, retry_after: str | None = None) -> KubeError:
    """Return the error of an answer that is not a success; `retry_after` is that header's text."""
    try:
        parsed = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        parsed = _Status(reason="NotKubernetes", message=body[:200].decode(errors="replace"))
    return _error(parsed, status, path, retry_after)


def error_from_event(status_object: bytes, *, path: str) -> KubeError:
    """Return the error that a watch delivered as an ERROR event."""
    try:
        parsed = msgspec.json.decode(status_object, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return KubeError(500, "NotKubernetes", f"watch of {path}: an ERROR event that is no Status: {error}")
    return _error(parsed, parsed.code or 500, path, None)


def _error(parsed: _Status, status: int, path: str, retry_after: str | None) -> KubeError:
    details = parsed.details or _Details()
    causes = details.causes or ()
    message = f"{path}: {parsed.message or 'no message'}"
    if "secrets" in path.split("/"):
        causes = tuple(Cause(reason=cause.reason, field=cause.field) for cause in causes)
        message = f"{path}: (message kept back, since it may quote a Secret)"
    return KubeError(
        status,
        parsed.reason or f"HTTP{status}",
        message[:MESSAGE_MAX_CHARS],
        causes=causes,
        retry_after_s=_seconds(retry_after, details.retryAfterSeconds),
    )


def _seconds(header: str | None, detail: float | None) -> float | None:
    if header is not None and header.strip().isdecimal():
        return float(header)
    return detail or None
