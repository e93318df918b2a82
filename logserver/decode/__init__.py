"""From documents to lines: a batch of raw Kafka values becomes Arrow columns, and rejects with their reasons.

The hot path is one SELECT of the embedded engine over the batch (`facts`): JSON, time and signs in the text, in C++ and
without the interpreter's lock; then names, model and level per distinct value (`origin`). Rows it doubts go one by one
through `repair`, and what comes out of that through the same path; so there is one meaning of a document. Every
document ends as exactly one line or one reject.

A line whose document names no file and offset gets its Kafka position as identity: `file_id` is the hash of
(topic, partition), `file_offset` the Kafka offset.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logserver.decode.facts import RAW, FactReader, Transform
from logserver.decode.origin import Origins
from logserver.decode.repair import Reject, repair
from logserver.decode.views import emptied, sizes_of
from logserver.record import LINE_SCHEMA, MILLISECONDS, NAME, REJECT_SCHEMA
from milepost.units import Bytes

DOCUMENT_SCHEMA = pa.schema(
    [
        RAW,
        pa.field("key", pa.binary(), nullable=False),
        pa.field("topic", NAME),
        pa.field("partition", pa.uint32()),
        pa.field("offset", pa.uint64()),
        pa.field("appended_at", MILLISECONDS),
    ]
)

NANOSECONDS_PER_DAY = 86_400 * 10**9
_DECODED = [
    name for name in LINE_SCHEMA.names if name not in (*DOCUMENT_SCHEMA.names, "indexed_at", "keep_days", "day")
]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a batch of documents: `lines` has LINE_SCHEMA, `rejects` REJECT_SCHEMA, both in arrival order."""

    lines: pa.Table
    rejects: pa.Table


@dataclass(frozen=True, slots=True)
class KeepDays:
    """How long a line is kept, by its namespace."""

    default: int
    namespaces: dict[str, int]

    def of(self, namespace: str) -> int:
        """Return the days for one namespace."""
        return self.namespaces.get(namespace, self.default)


class Decoder:
    """Decodes batches; stateless but for its prepared SQL."""

    def __init__(
        self, transform: Transform, keep: KeepDays, *, document_bytes_max: Bytes, reject_bytes_max: Bytes
    ) -> None:
        self._facts = FactReader(transform)
        self._keep = keep
        self._document_bytes_max = document_bytes_max
        self._reject_bytes_max = reject_bytes_max
        self._origins = Origins()

    def decode(self, documents: pa.Table, *, now: datetime.datetime) -> Decoded:
        """Return the lines and rejects of a table of DOCUMENT_SCHEMA (one chunk a column)."""
        raws, documents = documents["raw"].chunk(0), documents.drop_columns("raw")
        sized, problems = self._sized(raws)
        content = self._content(sized)
        good = pc.equal(content["doubt"], "").to_numpy()
        if not good.all():
            content = self._repaired(raws, content, np.flatnonzero(~good), problems)
        rejects = self._rejects(raws, documents, problems, now)
        if problems:
            kept = np.ones(documents.num_rows, dtype=bool)
            kept[list(problems)] = False
            content, documents = content.filter(pa.array(kept)), documents.filter(pa.array(kept))
        return Decoded(self._lines(content, documents, now), rejects)

    def _content(self, raws: pa.BinaryViewArray) -> pa.Table:
        """Return what the documents say: the columns of a line that are not of Kafka, and `doubt`."""
        return self._origins.named(self._facts.read(raws), lambda rows: self._facts.metadata(raws, rows))

    def _sized(self, raws: pa.BinaryViewArray) -> tuple[pa.BinaryViewArray, dict[int, Reject]]:
        """Return the documents, those that are too big empty, and a reject for each of these rows."""
        sizes = sizes_of(raws)
        big = np.flatnonzero(sizes > self._document_bytes_max)
        if not len(big):
            return raws, {}
        limit = self._document_bytes_max
        problems = {
            int(row): Reject("too_big", f"{sizes[row]} bytes; ingest.document_bytes_max is {limit}") for row in big
        }
        return emptied(raws, big), problems

    def _repaired(
        self,
        raws: pa.BinaryViewArray,
        content: pa.Table,
        doubtful: npt.NDArray[np.int64],
        problems: dict[int, Reject],
    ) -> pa.Table:
        """Return the content with doubtful rows decoded again from repaired documents; adds to `problems`."""
        rows, repaired = [], []
        for row in doubtful:
            if int(row) in problems:
                continue
            outcome = repair(raws[int(row)].as_py())
            if isinstance(outcome, Reject):
                problems[int(row)] = outcome
            else:
                rows.append(int(row))
                repaired.append(outcome)
        if not rows:
            return content
        again = self._content(pa.array(repaired, RAW.type))
        for row, doubt, raw in zip(rows, again["doubt"].to_pylist(), repaired, strict=True):
            if doubt == "timestamp":
                problems[row] = Reject("bad_timestamp", f"@timestamp is no time from 1900 to 2262: {raw[:80]!r}")
            elif doubt == "type":
                problems[row] = Reject("wrong_type", "a field Filebeat always writes has another type")
        order = np.arange(content.num_rows)
        order[rows] = content.num_rows + np.arange(len(rows))
        return pa.concat_tables([content, again]).unify_dictionaries().take(pa.array(order)).combine_chunks()

    def _lines(self, content: pa.Table, documents: pa.Table, now: datetime.datetime) -> pa.Table:
        count = content.num_rows
        columns = {name: content[name] for name in _DECODED}
        columns |= {name: documents[name] for name in ("topic", "partition", "offset", "appended_at")}
        columns["file_id"], columns["file_offset"] = _identities(content, documents)
        keep_days = self._keep_days(content["namespace"].combine_chunks())
        columns["indexed_at"] = pa.repeat(pa.scalar(_milliseconds(now), MILLISECONDS), count)
        columns["keep_days"] = pa.array(keep_days)
        columns["day"] = pa.array(store_days(content["ts"].to_numpy(), keep_days, now), pa.int32()).cast(pa.date32())
        return pa.table([columns[name] for name in LINE_SCHEMA.names], schema=LINE_SCHEMA)

    def _keep_days(self, namespaces: pa.DictionaryArray) -> npt.NDArray[np.uint16]:
        days = np.array([self._keep.of(name or "") for name in namespaces.dictionary.to_pylist()], dtype=np.uint16)
        codes = pc.fill_null(namespaces.indices, 0).to_numpy(zero_copy_only=False)
        return days[codes] if len(days) else np.full(len(codes), self._keep.default, dtype=np.uint16)

    def _rejects(
        self, raws: pa.BinaryViewArray, documents: pa.Table, problems: dict[int, Reject], now: datetime.datetime
    ) -> pa.Table:
        rows = sorted(problems)
        picked = documents.take(pa.array(rows, pa.int64()))
        limit = self._reject_bytes_max
        texts = [raws[row].as_py() for row in rows]
        cut = [f" (kept {limit} of {len(text)} bytes)" if len(text) > limit else "" for text in texts]
        columns = {
            "received_at": pa.repeat(pa.scalar(_milliseconds(now), MILLISECONDS), len(rows)),
            "topic": picked["topic"],
            "partition": picked["partition"],
            "offset": picked["offset"],
            "reason": pa.array([problems[row].reason for row in rows], pa.string()).dictionary_encode(),
            "detail": pa.array([problems[row].detail + note for row, note in zip(rows, cut, strict=True)], pa.string()),
            "raw": pa.array([text[:limit] for text in texts], pa.binary()),
            "key": pa.array([key[:limit] for key in picked["key"].to_pylist()], pa.binary()),
        }
        return pa.table([columns[name] for name in REJECT_SCHEMA.names], schema=REJECT_SCHEMA)


def store_days(
    ts: npt.NDArray[np.datetime64], keep_days: npt.NDArray[np.uint16], now: datetime.datetime
) -> npt.NDArray[np.int32]:
    """Return the day (since 1970) each line is stored under: its own, within [today - keep_days, tomorrow].

    Without the bounds one wrong clock would make a store partition for every day of history.
    """
    today = int(now.timestamp()) // 86_400
    days = np.floor_divide(ts.astype("datetime64[ns]").astype(np.int64), NANOSECONDS_PER_DAY)
    bounded: npt.NDArray[np.int64] = np.clip(days, today - keep_days.astype(np.int64), today + 1)
    return bounded.astype(np.int32)


def _identities(content: pa.Table, documents: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return file_id and file_offset, from the Kafka position where the document names no file."""
    file_ids = content["file_id"].to_numpy().copy()
    offsets = content["file_offset"].to_numpy().copy()
    missing = file_ids == 0
    if missing.any():
        topics = documents["topic"].combine_chunks()
        hashes = np.array([_topic_hash(name) for name in topics.dictionary.to_pylist()], dtype=np.uint64)
        partitions = documents["partition"].to_numpy().astype(np.uint64)
        by_position = hashes[topics.indices.to_numpy(zero_copy_only=False)] + partitions
        file_ids[missing] = by_position[missing]
        offsets[missing] = documents["offset"].to_numpy()[missing]
    return pa.array(file_ids), pa.array(offsets)


def _topic_hash(topic: str) -> int:
    """Return 64 bits whose low 20 are zero, to which a partition number is added."""
    digest = hashlib.blake2b(topic.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & ~0xFFFFF


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)
