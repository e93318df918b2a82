"""A record as the JSON that its ConfigMap holds, within the bounds that `deploy.record` names."""

from __future__ import annotations

import msgspec

from deploy.errors import Broken, Refusal, Refused
from deploy.record import AUDIT_KEPT, FORMAT, RECORD_BYTES_MAX, REVISIONS_KEPT, Record


def encode(record: Record) -> bytes:
    """Return the record as JSON. Raises Refused above `RECORD_BYTES_MAX`, and says what to remove."""
    raw = msgspec.json.encode(_bounded(record))
    if len(raw) > RECORD_BYTES_MAX:
        rule = (
            f"the record of {record.key} may have {RECORD_BYTES_MAX} bytes: the specs of its history are too large; "
            f"shorten the spec, or delete the model with --purge and create it again"
        )
        raise Refused([Refusal("history", f"{len(raw)} bytes", rule)])
    return raw


def decode(raw: bytes | str, *, key: str) -> Record:
    """Return the record in these bytes. Raises Broken for another format or a damaged document."""
    try:
        record = msgspec.json.decode(raw, type=Record)
    except msgspec.MsgspecError as error:
        raise Broken(f"the record of {key} cannot be read: {error}") from error
    if record.format != FORMAT:
        raise Broken(f"the record of {key} has format {record.format}; this version reads {FORMAT}")
    return record


def _bounded(record: Record) -> Record:
    pinned = {track.revision for track in record.tracks}
    surplus = len(record.revisions) - REVISIONS_KEPT
    kept = []
    for revision in record.revisions:
        if surplus > 0 and revision.number not in pinned:
            surplus -= 1
            continue
        kept.append(revision)
    return msgspec.structs.replace(record, revisions=tuple(kept), audit=record.audit[-AUDIT_KEPT:])
