"""What model servers print: one function per kind of server, each in the format of the real one.

A voice turns a clock and a random source into the messages of one moment: a served request, a warning, a failure with
its traceback. `trouble` between 0 and 1 is how unwell the model is. Formats: TensorFlow Serving and glog's
`I0304 09:15:27.480123`, Triton's glog lines with a file and line, MLServer's and Seldon's Python wrapper's logging
formats, the Seldon executor's zap JSON, Java's logback for the old platform's gateway.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a container: its stream (stdout or stderr) and its text, possibly of several lines."""

    stream: str
    text: str


Voice = Callable[[random.Random, datetime, float], Iterator[Said]]

_TRACEBACKS = (
    (
        'File "/microservice/Classifier.py", line 51, in predict\n    return self._model.predict_proba(X)',
        "ValueError: X has 3 features, but LogisticRegression is expecting 4 features as input.",
    ),
    (
        'File "/app/serve.py", line 88, in predict\n    logits = self.model(batch.to(self.device))',
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.25 GiB. GPU 0 has a total capacity of"
        " 15.77 GiB of which 312.19 MiB is free.",
    ),
    (
        'File "/app/features.py", line 23, in lookup\n    row = self._store[user_id]',
        "KeyError: 'user_48213'",
    ),
)


def _glog(rng: random.Random, now: datetime, letter: str, source: str, text: str) -> str:
    return f"{letter}{now:%m%d %H:%M:%S.%f} {rng.randint(1, 40):7d} {source}] {text}"


def _latency_ms(rng: random.Random, trouble: float) -> float:
    return rng.lognormvariate(3.2 + 1.5 * trouble, 0.45)


def _trace_id(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def tensorflow_serving(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what tensorflow_model_server says, with its own time stamp format and severity letter."""
    stamp = f"{now:%Y-%m-%d %H:%M:%S.%f}"
    if rng.random() < trouble:
        yield Said(
            "stderr",
            f"{stamp}: E tensorflow_serving/util/retrier.cc:37] Predict failed for model ranker version 7: "
            f"INVALID_ARGUMENT: input must have shape [-1,784], got [-1,{rng.choice((28, 783, 785))}]",
        )
    elif rng.random() < 0.04:
        yield Said(
            "stderr",
            f"{stamp}: W tensorflow/core/framework/cpu_allocator_impl.cc:82] Allocation of "
            f"{rng.randint(20, 90) * 1_048_576} exceeds 10% of free system memory.",
        )
    else:
        yield Said(
            "stdout",
            f"{stamp}: I tensorflow_serving/model_servers/server.cc:430] Predict model=ranker version=7 "
            f"batch={rng.choice((1, 1, 1, 8, 32))} latency_us={_latency_ms(rng, trouble) * 1000:.0f}",
        )


def triton(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what tritonserver says (glog)."""
    if rng.random() < trouble:
        yield Said(
            "stderr",
            _glog(
                rng,
                now,
                "E",
                "infer_request.cc:1124",
                "[request id: <id_unknown>] Infer failed: failed to allocate pinned system memory, falling back to "
                "non-pinned system memory",
            ),
        )
    else:
        text = f"New request 'resnet50', version 1, queue {rng.randint(20, 400)} us, compute {rng.randint(4, 30)} ms"
        yield Said("stdout", _glog(rng, now, "I", "http_server.cc:3452", text))


def mlserver(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what MLServer says: its own prefix, then the message."""
    prefix = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} [mlserver"
    if rng.random() < trouble:
        yield Said("stderr", f"{prefix}.parallel] ERROR - Response processing of request {_trace_id(rng)[:8]} failed")
        yield _traceback(rng)
    elif rng.random() < 0.05:
        yield Said(
            "stderr", f"{prefix}.batching] WARNING - Batch waited {rng.randint(80, 300)} ms, the limit is 100 ms"
        )
    else:
        path = "/v2/models/churn/versions/v3/infer"
        yield Said(
            "stdout",
            f"{prefix}.rest] INFO - 10.42.{rng.randint(0, 9)}.{rng.randint(2, 250)} - "
            f'"POST {path} HTTP/1.1" 200 OK {_latency_ms(rng, trouble):.1f}ms',
        )


def seldon_python(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what the seldon-core Python wrapper says, with a traceback when the model raises."""
    stamp = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
    if rng.random() < trouble:
        yield Said(
            "stderr", f"{stamp} - seldon_core.wrapper:handle_generic_exception:53 - ERROR:  exception in predict"
        )
        yield _traceback(rng)
    else:
        yield Said(
            "stdout",
            f"{stamp} - root:predict:118 - INFO:  scored {rng.choice((1, 2, 4, 16))} rows in "
            f"{_latency_ms(rng, trouble):.1f} ms",
        )


def seldon_executor(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what the Seldon executor says: zap's JSON lines."""
    failed = rng.random() < trouble
    line = {
        "level": "error" if failed else "info",
        "ts": now.timestamp(),
        "logger": "entrypoint.SeldonRestApi",
        "msg": "Failed to get predictions" if failed else "Request served",
        "code": 500 if failed else 200,
        "latency_ms": round(_latency_ms(rng, trouble), 1),
        "trace_id": _trace_id(rng),
    }
    yield Said("stderr" if failed else "stdout", json.dumps(line, separators=(",", ":")))


def json_service(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what a home-made server with JSON logging says."""
    failed = rng.random() < trouble
    line: dict[str, object] = {
        "timestamp": now.isoformat(),
        "level": "ERROR" if failed else rng.choice(("INFO", "INFO", "INFO", "DEBUG")),
        "logger": "fraud.api",
        "message": "feature store timed out after 200 ms" if failed else "scored transaction",
        "score": round(rng.random(), 4),
        "amount_cents": rng.randint(100, 900_000),
        "traceId": _trace_id(rng),
    }
    yield Said("stdout", json.dumps(line))


def java_gateway(rng: random.Random, now: datetime, trouble: float) -> Iterator[Said]:
    """Say what the old platform's Java gateway says (logback), with a stack trace when a call fails."""
    stamp = f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d}"
    thread = f"DubboServerHandler-10.0.3.{rng.randint(2, 9)}:20880-thread-{rng.randint(1, 200)}"
    if rng.random() < trouble:
        yield Said(
            "stderr",
            f"{stamp} ERROR [{thread}] c.c.abox.PredictGateway - predict failed, retry 1 of 2\n"
            "java.util.concurrent.TimeoutException: no answer from ranker within 1000 ms\n"
            "\tat com.company.abox.PredictGateway.call(PredictGateway.java:142)\n"
            "\tat com.company.abox.PredictGateway.predict(PredictGateway.java:87)",
        )
    else:
        yield Said(
            "stdout", f"{stamp}  INFO [{thread}] c.c.abox.PredictGateway - ranker answered in {rng.randint(5, 90)} ms"
        )


def _traceback(rng: random.Random) -> Said:
    frame, error = rng.choice(_TRACEBACKS)
    return Said("stderr", f"Traceback (most recent call last):\n  {frame}\n{error}")
