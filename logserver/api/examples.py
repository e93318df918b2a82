"""What the answers look like, for OpenAPI: one example for every operation and every kind of problem.

They are of a store that holds one line; `tests/logserver/test_openapi.py` holds them to the schemas beside them and to
what the server answers for that store.
"""

from __future__ import annotations

from typing import Any

import msgspec

LINE: dict[str, Any] = {
    "id": "AQAAAAAAAAAHgMG0_JinzJkxjr4C",
    "ts": "2026-03-04T09:15:27.481000000Z",
    "namespace": "risk",
    "model": "iris",
    "predictor": "default",
    "pod": "iris-default-0-classifier-6c9f7d8b54-x2m7k",
    "container": "classifier",
    "node": "node-a1",
    "stream": "stderr",
    "level": "error",
    "message": "feature vector has 3 columns, expected 4",
    "trace_id": "",
    "labels": {"app": "iris-default-0-classifier"},
    "flags": [],
    "container_id": "9f0c5e1a",
    "file": "/var/log/containers/iris.log",
    "file_offset": 40718,
    "topic": "logs",
    "partition": 3,
    "offset": 81234,
}
_TEXT = f"{LINE['message']}\n"
_TAIL_CURSOR = "AgRsb2dzAQPT-gQ"


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()


PAGE: dict[str, Any] = {
    "lines": [LINE],
    "next": LINE["id"],
    "complete": True,
    "ended": "limit",
    "detail": "",
    "refused_namespaces": [],
}
PAGE_ALSO = {
    "application/x-ndjson": f"{_json(LINE)}\n{_json({'milepost': {'next': LINE['id']}})}\n",
    "text/plain": _TEXT,
}
CONTEXT: dict[str, Any] = {"lines": [LINE], "id": LINE["id"]}
CONTEXT_ALSO = {"application/x-ndjson": f"{_json(LINE)}\n", "text/plain": _TEXT}
TAIL = {
    "text/event-stream": f"id: {_TAIL_CURSOR}\ndata: {_json([LINE])}\n\n",
    "application/x-ndjson": f"{_json(LINE)}\n{_json({'milepost': {'cursor': _TAIL_CURSOR}})}\n",
    "text/plain": _TEXT,
}
POD_LOG = {"text/plain": f"{LINE['ts']} {_TEXT}"}
EXPORT = {
    "application/x-ndjson": f"{_json(LINE)}\n{_json({'milepost': {'lines': 1, 'complete': True}})}\n",
    "application/gzip": "(the same NDJSON, compressed)",
    "application/zstd": "(the same NDJSON, compressed)",
}
HISTOGRAM: dict[str, Any] = {
    "start": "2026-03-04T09:15:00.000000000Z",
    "end": "2026-03-04T09:16:00.000000000Z",
    "step_s": 60.0,
    "by": "level",
    "total": 1,
    "buckets": [
        {
            "start": "2026-03-04T09:15:00.000000000Z",
            "end": "2026-03-04T09:16:00.000000000Z",
            "count": 1,
            "by": {"error": 1},
        }
    ],
    "refused_namespaces": [],
}
_FIELDS = ("namespace", "model", "predictor", "pod", "container", "node", "stream", "level")
FIELDS: dict[str, Any] = {
    "lines": 1,
    "fields": [{"name": name, "distinct": 1} for name in _FIELDS],
    "refused_namespaces": [],
}
VALUES: dict[str, Any] = {
    "field": "model",
    "values": [{"value": "iris", "lines": 1}],
    "complete": True,
    "refused_namespaces": [],
}
REJECTS: dict[str, Any] = {
    "rejects": [
        {
            "received_at": "2026-03-04T09:15:28.000000000Z",
            "topic": "logs",
            "partition": 3,
            "offset": 81235,
            "reason": "not_json",
            "detail": "",
            "raw": "{",
            "raw_base64": "ew==",
        }
    ],
    "next": "A4D3hcHLMwPT-gRsb2dz",
    "total": 2,
    "by_reason": {"not_json": 2},
    "complete": False,
}
STATS: dict[str, Any] = {
    "lines": 1,
    "oldest": LINE["ts"],
    "newest": LINE["ts"],
    "namespaces": [{"value": "risk", "lines": 1}],
    "complete": True,
    "levels": [{"value": "error", "lines": 1}],
    "followers": 0,
    "refused_namespaces": [],
}

PROBLEMS: dict[int, tuple[str, dict[str, Any]]] = {
    401: (
        "No valid bearer token.",
        {"type": "about:blank", "title": "Unauthorized", "detail": "a bearer token is needed"},
    ),
    403: (
        "The caller may not read this.",
        {
            "type": "about:blank",
            "title": "Forbidden",
            "detail": "ana may not get pods/log in namespace risk",
            "refused_namespaces": ["risk"],
        },
    ),
    404: (
        "There is no such line, pod or field.",
        {
            "type": "urn:milepost:problem:no-such-pod",
            "title": "Not Found",
            "detail": "there is no line of pod iris-0 in namespace risk",
        },
    ),
    413: (
        "The answer would be too large.",
        {
            "type": "urn:milepost:problem:too-large",
            "title": "Request Entity Too Large",
            "detail": "this needs more memory of the store than query.memory_max=512MiB, or gives more rows than "
            "query.rows_max=1000000; narrow the time range or the filters",
        },
    ),
    422: (
        "A parameter cannot be used.",
        {
            "type": "urn:milepost:problem:invalid-request",
            "title": "Unprocessable Entity",
            "detail": "level: 'eror' is not a level; there are trace, debug, info, warn, error, fatal, unknown",
            "parameter": "level",
        },
    ),
    503: (
        "The store is down, or too much is asked at once.",
        {
            "type": "urn:milepost:problem:busy",
            "title": "Service Unavailable",
            "detail": "256 queries wait already, the bound of query.waiting_max",
        },
    ),
    504: (
        "The time limit passed before anything was found.",
        {
            "type": "urn:milepost:problem:timeout",
            "title": "Gateway Timeout",
            "detail": "this takes longer than query.time_max=30s; narrow the time range or the filters",
        },
    ),
}
"""What each status means, and a problem of it without `status` and `instance`."""
