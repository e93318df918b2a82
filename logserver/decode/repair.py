r"""The careful path: a document the decoder doubts becomes a plain document, or a reject with its reason.

Pure: bytes in, bytes or a reason out; any bytes whatsoever. What is repaired, and how it shows:

- Invalid UTF-8 becomes U+FFFD, byte sequence by byte sequence as Python's `replace` does, and so does half a surrogate
  pair written as `\ud800`: the line has the flag `invalid_utf8`.
- No `message`, because Filebeat's ndjson parser put the application's JSON into the root: the message is that JSON, the
  fields that are not Filebeat's own, byte for byte. A `message` that is true or false is that word.

Everything else that is not an object with a usable time is a reject. A rejected document is kept as it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

INVALID_UTF8_FLAG = "invalid_utf8"

# Fields Filebeat and its processors put into the root; the rest is the application's.
# https://www.elastic.co/docs/reference/beats/filebeat/exported-fields
FILEBEAT_FIELDS = frozenset(
    {
        "@timestamp", "@metadata", "agent", "azure", "client", "cloud", "container", "docker", "ecs", "error", "event",
        "fields", "fileset", "host", "input", "json", "kubernetes", "log", "message", "orchestrator", "stream", "tags",
        "beat", "prospector", "source", "offset", "jolokia", "nomad",
    }
)  # fmt: skip

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)
_LONE_SURROGATE_LENGTH = 6
_DETAIL_LENGTH_MAX = 300

Fields = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a document cannot become a line: `reason` is one of REASONS, `detail` is for people."""

    reason: str
    detail: str


REASONS = ("empty", "too_big", "not_json", "not_an_object", "no_timestamp", "bad_timestamp", "wrong_type", "no_message")


def repair(raw: bytes) -> bytes | Reject:
    """Return a document the decoder understands, or why there is none; never raises for any bytes."""
    if not raw.strip():
        return Reject("empty", "the Kafka message has no value")
    text, flagged = _valid_text(raw)
    try:
        fields = _FIELDS.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return _not_an_object(text, error)
    if problem := _problem(fields):
        return problem
    message = _message(fields)
    if message is None:
        return Reject("no_message", "there is no message, and no field but Filebeat's own")
    fields["message"] = msgspec.Raw(message)
    if flagged:
        fields["log"] = msgspec.Raw(_with_flag(fields.get("log")))
    return msgspec.json.encode(fields)


def _not_an_object(text: bytes, error: Exception) -> Reject:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as whole_error:
        return Reject("not_json", _short(str(whole_error)))
    return Reject("not_an_object", _short(f"the document is JSON but no object: {error}"))


def _valid_text(raw: bytes) -> tuple[bytes, bool]:
    """Return the text as valid UTF-8 without lone surrogates, and whether anything had to be replaced."""
    try:
        text = raw.decode("utf-8")
        flagged = False
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        flagged = True
    if "\\u" in text:
        whole = _ESCAPE.sub(_without_lone_surrogate, text)
        flagged = flagged or whole != text
        text = whole
    return text.encode(), flagged


def _without_lone_surrogate(match: re.Match[str]) -> str:
    escape = match[0]
    return "\\ufffd" if len(escape) == _LONE_SURROGATE_LENGTH else escape


def _problem(fields: Fields) -> Reject | None:
    timestamp = fields.get("@timestamp")
    if timestamp is None or _kind(timestamp) == "null":
        return Reject("no_timestamp", "there is no @timestamp")
    if _kind(timestamp) not in ("string", "number"):
        return Reject("wrong_type", f"@timestamp is a {_kind(timestamp)}, not a string")
    for name in ("log", "kubernetes"):
        kind = _kind(fields.get(name, _NULL))
        if kind not in ("object", "null"):
            return Reject("wrong_type", f"{name} is a {kind}, not an object")
    return _offset_problem(fields.get("log", _NULL))


def _offset_problem(log: msgspec.Raw) -> Reject | None:
    if _kind(log) != "object":
        return None
    offset = _FIELDS.decode(log).get("offset", _NULL)
    if _kind(offset) == "null":
        return None
    try:
        _OFFSET.decode(offset)
    except (msgspec.DecodeError, ValueError):
        return Reject("wrong_type", _short(f"log.offset is {bytes(offset)!r}, not a number of bytes"))
    return None


def _message(fields: Fields) -> bytes | None:
    message = fields.get("message", _NULL)
    kind = _kind(message)
    if kind == "boolean":
        return b'"' + bytes(message) + b'"'
    if kind != "null":
        return bytes(message)
    own = {name: value for name, value in fields.items() if name not in FILEBEAT_FIELDS}
    return msgspec.json.encode(msgspec.json.encode(own).decode()) if own else None


def _with_flag(log: msgspec.Raw | None) -> bytes:
    fields: dict[str, object] = dict(_FIELDS.decode(log)) if log is not None and _kind(log) == "object" else {}
    flags = fields.get("flags")
    known = msgspec.json.decode(flags) if isinstance(flags, msgspec.Raw) and _kind(flags) == "array" else []
    fields["flags"] = [*known, INVALID_UTF8_FLAG]
    return msgspec.json.encode(fields)


def _kind(value: msgspec.Raw) -> str:
    return _KINDS.get(bytes(value)[:1], "number")


def _short(text: str) -> str:
    return text if len(text) <= _DETAIL_LENGTH_MAX else text[:_DETAIL_LENGTH_MAX] + "…"


_NULL = msgspec.Raw(b"null")
_KINDS = {b'"': "string", b"{": "object", b"[": "array", b"t": "boolean", b"f": "boolean", b"n": "null"}
_FIELDS = msgspec.json.Decoder(Fields)
_OFFSET = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0)], strict=False)
