"""From a request's body to the frame that answers it: read, find the method, ask the model, write.

Whatever happens becomes an outcome that is counted and an answer that a person understands in a stack trace of Java.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from deploy.dubbo import frame
from deploy.dubbo.backend import Backend, new_request_id
from deploy.dubbo.frame import Header, Status
from deploy.dubbo.hessian import Bounds, HessianError
from deploy.dubbo.invocation import (
    ECHO,
    Invocation,
    ModelFailed,
    Refused,
    exception_body,
    read_call,
    text_body,
    value_body,
)
from deploy.dubbo.mapping import Request, TooLarge, request_of, value_of
from deploy.dubbo.metrics import OTHER, Metrics, Outcome
from deploy.dubbo.services import Method, Service, Services, service_key
from deploy.dubbo.settings import DubboSettings, ModelSettings

log = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

REQUEST_ID_ATTACHMENT = "milepost-request-id"
_THREAD_BYTES = 64 << 10
"""Larger bodies are read and written in a thread: a tenth of a second in the event loop would delay all callers."""
_UNFOLDED_BYTES = 4 * _THREAD_BYTES
_OUTCOMES = {
    Status.SERIALIZATION_ERROR: Outcome.SERIALIZATION,
    Status.SERVER_TIMEOUT: Outcome.TIMEOUT,
    Status.BAD_REQUEST: Outcome.BAD_REQUEST,
    Status.SERVICE_NOT_FOUND: Outcome.NOT_FOUND,
    Status.SERVER_ERROR: Outcome.UNREACHABLE,
}
_SHOWN_SERVICES = 5


@dataclass(slots=True)
class _Told:
    """What is known of a request so far, for its count."""

    interface: str = OTHER
    method: str = OTHER
    outcome: Outcome = Outcome.CALLER_GONE


class Handler:
    """Answers requests; `token` is what callers must attach, "" for nothing."""

    def __init__(
        self,
        services: Services,
        backend: Backend,
        metrics: Metrics,
        *,
        dubbo: DubboSettings,
        model: ModelSettings,
        token: str = "",
    ) -> None:
        self._services = services
        self._backend = backend
        self._metrics = metrics
        self._dubbo = dubbo
        self._model = model
        self._token = token
        self._bounds = Bounds(values_max=dubbo.values_max)

    async def answer(self, header: Header, body: bytes) -> bytes:
        """Return the frame that answers this request; raises nothing but a cancellation."""
        told, started = _Told(), time.perf_counter()
        try:
            return await self._answer(header, body, told)
        except Refused as refused:
            told.outcome = _OUTCOMES[refused.status]
            return frame.answer(header, refused.status, text_body(str(refused)))
        except Exception:
            log.exception("a request of %d bytes for %s.%s failed in an unforeseen way", len(body), told.interface,
                          told.method)  # fmt: skip
            told.outcome = Outcome.INTERNAL
            text = "the gateway failed in an unforeseen way; its log says how"
            return frame.answer(header, Status.SERVER_ERROR, text_body(text))
        finally:
            self._metrics.ended(told.interface, told.method, told.outcome, time.perf_counter() - started)

    async def _answer(self, header: Header, body: bytes, told: _Told) -> bytes:
        if header.serialization != frame.HESSIAN2:
            name = frame.serialization_name(header.serialization)
            text = f"only hessian2 (2) is spoken here, not {name}; set serialization=hessian2 at the reference"
            raise Refused(Status.SERIALIZATION_ERROR, text)
        call = await _aside(len(body), read_call, body, self._bounds)
        request_id = new_request_id()
        attached = {REQUEST_ID_ATTACHMENT: request_id}
        try:
            if call.method == ECHO and len(call.arguments) == 1:
                told.method = ECHO
                result = await _aside(len(body), value_body, call, call.arguments[0], attached)
            else:
                method, answered = await self._ask(call, len(body), told, request_id)
                result = await _aside(len(answered), _result, method, call, answered, attached)
        except ModelFailed as failed:
            told.outcome = Outcome.MODEL_FAILED
            return frame.answer(header, Status.OK, exception_body(call, str(failed), attached))
        limit = self._dubbo.payload_max
        if len(result) > limit:
            told.outcome = Outcome.ANSWER_TOO_LARGE
            text = f"the result is {len(result)} bytes, more than the {limit} that it may have (dubbo.payload_max)"
            result = exception_body(call, text, attached)
        else:
            told.outcome = Outcome.OK
        return frame.answer(header, Status.OK, result)

    async def _ask(self, call: Invocation, size: int, told: _Told, request_id: str) -> tuple[Method, bytes]:
        """Return the method that was called and the model's answer."""
        service, method = self._find(call)
        told.interface, told.method = service.interface, method.name
        if self._token and not hmac.compare_digest(call.attachments.get("token", "").encode(), self._token.encode()):
            raise Refused(Status.BAD_REQUEST, f"{service.key} asks for a token, and the call has another one or none")
        # Callers of 2.7 attach no timeout, those of 2.6 none that is set for a method: Dubbo's default of a second
        # would cut off who waits longer, so that without one ours alone counts.
        limits = (call.timeout_s, method.timeout_s or service.timeout_s, self._model.timeout)
        timeout_s = min(limit for limit in limits if limit)
        request = await self._request(method, call, size)
        return method, await self._backend.ask(request, call, request_id, timeout_s)

    async def _request(self, method: Method, call: Invocation, size: int) -> Request:
        values_max = self._dubbo.values_max
        if size <= _THREAD_BYTES:
            # References may unfold to far more than the message was: such a call begins anew in a thread.
            with suppress(TooLarge):
                at_once = min(self._model.body_max, _UNFOLDED_BYTES)
                return request_of(method, call, body_bytes_max=at_once, values_max=values_max)
        whole = self._model.body_max
        return await asyncio.to_thread(request_of, method, call, body_bytes_max=whole, values_max=values_max)

    def _find(self, call: Invocation) -> tuple[Service, Method]:
        key = service_key(call.interface, call.version, call.group)
        service = self._services.get(key)
        if service is None:
            served = ", ".join(sorted(self._services)[:_SHOWN_SERVICES])
            more = " and others" if len(self._services) > _SHOWN_SERVICES else ""
            raise Refused(Status.SERVICE_NOT_FOUND, f"no service {key[:300]} is served here; there is {served}{more}")
        method = service.methods.get(call.method)
        if method is None:
            there = ", ".join(sorted(service.methods))
            raise Refused(Status.SERVICE_NOT_FOUND, f"{key} has no method {call.method[:100]} here; there is {there}")
        return service, method


def _result(method: Method, call: Invocation, answered: bytes, attached: dict[str, str]) -> bytes:
    try:
        return value_body(call, value_of(method, call, answered), attached)
    except HessianError as error:
        raise ModelFailed(f"the model's answer has no form in Java: {error}") from error


async def _aside(
    size: int, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Return what `work` returns, from a thread when it has much to do."""
    if size <= _THREAD_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
