"""How a request ended, in five classes: HTTP statuses, and gRPC codes by the same measure."""

from __future__ import annotations

from collections.abc import Mapping

GRPC_CODE_CLASS: Mapping[str, str] = {
    "OK": "2xx",
    "INVALID_ARGUMENT": "4xx", "NOT_FOUND": "4xx", "ALREADY_EXISTS": "4xx", "PERMISSION_DENIED": "4xx",
    "UNAUTHENTICATED": "4xx", "FAILED_PRECONDITION": "4xx", "OUT_OF_RANGE": "4xx", "CANCELLED": "4xx",
    "RESOURCE_EXHAUSTED": "4xx", "ABORTED": "4xx",
    "UNKNOWN": "5xx", "DEADLINE_EXCEEDED": "5xx", "UNIMPLEMENTED": "5xx", "INTERNAL": "5xx", "UNAVAILABLE": "5xx",
    "DATA_LOSS": "5xx",
}  # fmt: skip
"""gRPC codes as HTTP classes, after the mapping of google.rpc.Code; names compare without case and underscores."""

_GRPC_BY_FOLDED_NAME = {name.replace("_", "").lower(): klass for name, klass in GRPC_CODE_CLASS.items()}


def code_class(code: str) -> str:
    """Return `1xx`...`5xx` of an HTTP status or a gRPC code (`OK`, `DeadlineExceeded`, `NOT_FOUND`); else `other`."""
    if len(code) == 3 and code[0] in "12345":
        return f"{code[0]}xx"
    return _GRPC_BY_FOLDED_NAME.get(code.replace("_", "").lower(), "other")
