"""Errors of the HTTP servers as problem details (RFC 9457, `application/problem+json`).

A route raises `Problem`, or lets an error of `milepost.auth` or `milepost.kube` pass: one table turns it into the
answer. A program adds its own errors with `install(app, {MyError: lambda error: Problem(...)})`. An error nobody
expected is a 500 that names no internals; its traceback goes to the log under the same `instance`.

RFC 9457: https://www.rfc-editor.org/rfc/rfc9457.
"""

from __future__ import annotations

import http
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from milepost.auth import AuthUnavailable, Unauthenticated
from milepost.kube import KubeError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROBLEM_TYPE = "urn:milepost:problem:"
"""Before a slug; a problem without one has the type `about:blank`, whose title is the status's own phrase."""

_PASSED_ON = frozenset({400, 403, 404, 409, 410, 413, 422})
"""Statuses of the Kubernetes API that mean the caller's request; any other one is trouble behind this server."""


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An answer that is an error: `detail` is for people, `extension` holds further members for programs."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        slug: str = "",
        title: str = "",
        headers: Mapping[str, str] | None = None,
        **extension: Any,
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.slug = slug
        self.title = title or http.HTTPStatus(status).phrase
        self.headers = dict(headers or {})
        self.extension = extension

    def content(self, instance: str) -> dict[str, Any]:
        """Return the members of the problem object; `instance` is the path asked for."""
        return {
            **self.extension,
            "type": PROBLEM_TYPE + self.slug if self.slug else "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }

    def response(self, instance: str) -> Response:
        """Return the HTTP answer."""
        body = msgspec.json.encode(self.content(instance), enc_hook=str)
        return Response(body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


Translation = Callable[[Any], Problem]


def install(app: FastAPI, translations: Mapping[type[Exception], Translation] | None = None) -> None:
    """Let `app` answer every error as a problem; `translations` adds to the table or replaces its rows."""
    table: dict[type[Exception], Translation] = {**_TABLE, **(translations or {})}
    for kind, translate in table.items():
        app.add_exception_handler(kind, _handler(translate))
    app.add_exception_handler(Exception, _unexpected)


def _handler(translate: Translation) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return translate(error).response(request.url.path)

    return answer


async def _unexpected(request: Request, error: Exception) -> Response:
    instance = f"{request.url.path}#{secrets.token_hex(8)}"
    log.error("%s %s failed (%s)", request.method, request.url.path, instance, exc_info=error)
    return Problem(500, "an error nobody expected; the log has it under this instance").response(instance)


def _same(error: Problem) -> Problem:
    return error


def _from_http(error: HTTPException) -> Problem:
    return Problem(error.status_code, str(error.detail), headers=error.headers)


def _from_validation(error: RequestValidationError) -> Problem:
    # The rejected input is not repeated: it may be large, and it may be a secret.
    faults = [{"where": ".".join(map(str, fault["loc"])), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return Problem(422, detail, slug="invalid-request", faults=faults)


def _from_kube(error: KubeError) -> Problem:
    causes = [{"field": cause.field, "reason": cause.reason, "message": cause.message} for cause in error.causes]
    if error.status in _PASSED_ON:
        return Problem(error.status, error.message, slug="kubernetes", reason=error.reason, causes=causes)
    headers = {"Retry-After": f"{error.retry_after_s or 5:.0f}"} if error.transient else {}
    status = 503 if error.transient else 502
    return Problem(status, str(error), slug="kubernetes-unavailable", reason=error.reason, headers=headers)


def _from_unauthenticated(error: Unauthenticated) -> Problem:
    return Problem(401, str(error), headers={"WWW-Authenticate": "Bearer"})


def _from_auth_unavailable(error: AuthUnavailable) -> Problem:
    return Problem(503, str(error), slug="auth-unavailable", headers={"Retry-After": "5"})


_TABLE: dict[type[Exception], Translation] = {
    Problem: _same,
    HTTPException: _from_http,
    RequestValidationError: _from_validation,
    KubeError: _from_kube,
    Unauthenticated: _from_unauthenticated,
    AuthUnavailable: _from_auth_unavailable,
}
