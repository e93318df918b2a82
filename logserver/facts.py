"""What documents say, as columns: the engine reads them, and the rows it may have misread are doubted.

A row whose `doubt` is empty can become a line. Any other goes to the careful path (`repair`), which makes a plain
document of it or a reject:

- `timestamp`: there is no time from 1900 to 2262.
- `type`: a field Filebeat always writes has another type.
- `message`: there is none, or it is empty.
- `kubernetes`: the metadata are no object; of no consequence where the file's path names the pod.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from string import Template

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logserver.distinct import split
from logserver.levels import level_sign_sql, trace_id_sql
from logserver.views import taken

# Runs a SELECT from `Python(rows)` over the given table: EmbeddedStore.transform or an engine without tables.
Transform = Callable[[str, pa.Table], pa.Table]

# A document; without nulls the engine copies it once less.
RAW = pa.field("raw", pa.binary_view(), nullable=False)

Mask = npt.NDArray[np.bool_]

_NAME = "LowCardinality(String)"
_DOCUMENT_TYPE = (
    f"Tuple(`@timestamp` String, message String, stream {_NAME}, level {_NAME}, severity {_NAME}, "
    f"log Tuple(offset Nullable(UInt64), level {_NAME}, flags Array(String), "
    f"file Tuple(path {_NAME}, device_id {_NAME}, inode {_NAME}, fingerprint {_NAME})), "
    f"trace Tuple(id String), trace_id String, host Tuple(name {_NAME}), container Tuple(id {_NAME}), "
    f"kubernetes Tuple(namespace {_NAME}, pod Tuple(name {_NAME}), node Tuple(name {_NAME}), "
    f"container Tuple(name {_NAME}), labels {_NAME}))"
)
_FIELDS = {
    "message": ("message",),
    "stream": ("stream",),
    "offset_in_file": ("log", "offset"),
    "file_path": ("log", "file", "path"),
    "device_id": ("log", "file", "device_id"),
    "inode": ("log", "file", "inode"),
    "fingerprint": ("log", "file", "fingerprint"),
    "host": ("host", "name"),
    "said_container_id": ("container", "id"),
    "said_namespace": ("kubernetes", "namespace"),
    "said_pod": ("kubernetes", "pod", "name"),
    "said_container": ("kubernetes", "container", "name"),
    "node": ("kubernetes", "node", "name"),
    "label_text": ("kubernetes", "labels"),
}

# Asked only of rows in which something is missing: each of these parses the document again.
_MISSING_SQL = """
SELECT
    JSONType(raw, 'log') NOT IN ('Null', 'Object') AS log_is_odd,
    JSONType(raw, 'kubernetes') NOT IN ('Null', 'Object') AS kubernetes_is_odd,
    JSONHas(raw, 'log', 'offset') AS has_offset
FROM Python(rows)
"""
_TEXTS = pa.list_(pa.string())
_EPOCH = pa.scalar(0, pa.timestamp("ns", "UTC"))


class FactReader:
    """Reads the facts of batches; stateless but for its prepared SQL."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform
        self._sql = facts_sql()

    def read(self, raws: pa.BinaryViewArray) -> pa.Table:
        """Return a row for each document: the names of `_FIELDS`, signs, `ts` and `doubt`."""
        found = self._run(self._sql, raws)
        document = found["d"].combine_chunks()
        columns = {name: pc.struct_field(document, list(path)) for name, path in _FIELDS.items()}
        columns |= {
            "flags": pc.binary_join(pc.struct_field(document, ["log", "flags"]).cast(_TEXTS), ",").dictionary_encode(),
            "trace_id": found["trace_id"],
            "level_sign": found["level_sign"],
            "ts": pc.fill_null(found["parsed"], _EPOCH),
        }
        facts = pa.table(columns)
        return facts.append_column("doubt", self._doubts(raws, facts, _is_null(found["parsed"])))

    def _doubts(self, raws: pa.BinaryViewArray, facts: pa.Table, timeless: Mask) -> pa.DictionaryArray:
        no_path, no_namespace = _is_empty(facts["file_path"]), _is_empty(facts["said_namespace"])
        no_offset = _is_null(facts["offset_in_file"])
        log_is_odd, kubernetes_is_odd, has_offset = self._look_again(raws, no_path | no_namespace | no_offset)
        doubts: dict[str, Mask] = {  # the first that holds counts
            "timestamp": timeless,
            "type": np.where(no_path, log_is_odd, no_offset & has_offset),
            "message": pc.binary_length(facts["message"]).to_numpy() == 0,
            "kubernetes": no_namespace & kubernetes_is_odd,
        }
        codes = np.select(list(doubts.values()), range(1, len(doubts) + 1)).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(["", *doubts]))

    def _look_again(self, raws: pa.BinaryViewArray, missing: Mask) -> list[Mask]:
        """Return what `_MISSING_SQL` says of the rows in which something is missing, in its order; false of others."""
        rows = np.flatnonzero(missing)
        masks = [np.zeros(len(missing), dtype=bool) for _ in range(3)]
        if len(rows):
            found = self._run(_MISSING_SQL, taken(raws, rows))
            for mask, column in zip(masks, found.columns, strict=True):
                mask[rows] = column.to_numpy()
        return masks

    def _run(self, sql: str, raws: pa.BinaryViewArray) -> pa.Table:
        found = self._transform(sql, pa.table([raws], schema=pa.schema([RAW]))).combine_chunks()
        if found.num_rows != len(raws):
            raise AssertionError(f"{len(raws)} documents became {found.num_rows} rows")
        return found


def facts_sql() -> str:
    """Return the SELECT of the hot path."""
    said_level = "multiIf(d.log.level != '', d.log.level, d.level != '', d.level, d.severity)"
    said_trace = "if(d.trace.id != '', d.trace.id, d.trace_id)"
    return Template((resources.files("logserver") / "facts.sql").read_text("utf-8")).substitute(
        document_type=f"'{_DOCUMENT_TYPE}'",
        level_sign=level_sign_sql(message="d.message", said=said_level),
        trace_id=trace_id_sql(message="d.message", said=said_trace),
    )


def _is_null(column: pa.ChunkedArray) -> Mask:
    mask: Mask = pc.is_null(column).to_numpy()
    return mask


def _is_empty(column: pa.ChunkedArray) -> Mask:
    """Return which rows of a column of names have none."""
    codes, names = split(column)
    return np.array([not name for name in names], dtype=bool)[codes]
