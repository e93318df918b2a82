"""What documents say, as columns: the engine reads them, and the rows it may have misread are doubted.

A row whose `doubt` is empty can become a line. Any other goes to the careful path (`repair`), which makes a plain
document of it or a reject:

- `timestamp`: there is no time from 1900 to 2262.
- `type`: a field Filebeat always writes has another type.
- `message`: there is none, or it is empty.

What they say of who printed the line is read apart, of the rows that are asked for (`metadata`).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from string import Template

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logserver.decode.distinct import split
from logserver.decode.levels import level_sign_sql, trace_id_sql
from logserver.decode.metadata import Rows
from logserver.decode.views import taken

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
    "trace Tuple(id String), trace_id String)"
)
_METADATA_TYPE = (
    f"Tuple(host Tuple(name {_NAME}), container Tuple(id {_NAME}), kubernetes Tuple(namespace {_NAME}, "
    f"pod Tuple(name {_NAME}), container Tuple(name {_NAME}), node Tuple(name {_NAME}), labels {_NAME}))"
)
_FIELDS = {
    "message": ("message",),
    "stream": ("stream",),
    "offset_in_file": ("log", "offset"),
    "path": ("log", "file", "path"),
    "device_id": ("log", "file", "device_id"),
    "inode": ("log", "file", "inode"),
    "fingerprint": ("log", "file", "fingerprint"),
    "flags": ("log", "flags"),
}
_METADATA = {
    "host": ("host", "name"),
    "container_id": ("container", "id"),
    "namespace": ("kubernetes", "namespace"),
    "pod": ("kubernetes", "pod", "name"),
    "container": ("kubernetes", "container", "name"),
    "node": ("kubernetes", "node", "name"),
    "labels": ("kubernetes", "labels"),
}
_METADATA_SQL = f"SELECT JSONExtract(raw, '{_METADATA_TYPE}') AS d FROM Python(rows)"  # noqa: S608 - our own types

# Asked only of rows in which something is missing: each of these parses the document again.
_LOG_IS_ODD = "JSONType(raw, 'log') NOT IN ('Null', 'Object')"
_HAS_OFFSET = "JSONHas(raw, 'log', 'offset')"
_METADATA_ARE_ODD = "JSONType(raw, 'kubernetes') NOT IN ('Null', 'Object')"
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
        columns = _taken_apart(found["d"], _FIELDS)
        columns |= {
            "flags": pc.binary_join(columns["flags"].cast(_TEXTS), ",").dictionary_encode(),
            "trace_id": found["trace_id"],
            "level_sign": found["level_sign"],
            "ts": pc.fill_null(found["parsed"], _EPOCH),
        }
        facts = pa.table(columns)
        return facts.append_column("doubt", self._doubts(raws, facts, _is_null(found["parsed"])))

    def metadata(self, raws: pa.BinaryViewArray, rows: Rows) -> pa.Table:
        """Return what the documents of these rows say of who printed the line: a row each, the names of Metadata.

        Their `doubt` is not empty where there is no namespace because the metadata are no object.
        """
        asked = taken(raws, rows)
        said = pa.table(_taken_apart(self._run(_METADATA_SQL, asked)["d"], _METADATA))
        (odd,) = self._look_again(asked, _is_empty(said["namespace"]), _METADATA_ARE_ODD)
        doubts = pa.DictionaryArray.from_arrays(pa.array(odd.astype(np.int32)), pa.array(["", "kubernetes"]))
        return said.append_column("doubt", doubts)

    def _doubts(self, raws: pa.BinaryViewArray, facts: pa.Table, timeless: Mask) -> pa.DictionaryArray:
        no_path, no_offset = _is_empty(facts["path"]), _is_null(facts["offset_in_file"])
        log_is_odd, has_offset = self._look_again(raws, no_path | no_offset, _LOG_IS_ODD, _HAS_OFFSET)
        doubts: dict[str, Mask] = {  # the first that holds counts
            "timestamp": timeless,
            "type": np.where(no_path, log_is_odd, no_offset & has_offset),
            "message": pc.binary_length(facts["message"]).to_numpy() == 0,
        }
        codes = np.select(list(doubts.values()), range(1, len(doubts) + 1)).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(["", *doubts]))

    def _look_again(self, raws: pa.BinaryViewArray, missing: Mask, *tests: str) -> list[Mask]:
        """Return what each test, in SQL, says of the rows in which something is missing; false of others."""
        rows = np.flatnonzero(missing)
        masks = [np.zeros(len(missing), dtype=bool) for _ in tests]
        if len(rows):
            found = self._run(f"SELECT {', '.join(tests)} FROM Python(rows)", taken(raws, rows))  # noqa: S608 (ours)
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
    return Template((resources.files(__package__) / "facts.sql").read_text("utf-8")).substitute(
        document_type=f"'{_DOCUMENT_TYPE}'",
        level_sign=level_sign_sql(message="d.message", said=said_level),
        trace_id=trace_id_sql(message="d.message", said=said_trace),
    )


def _taken_apart(documents: pa.ChunkedArray, paths: dict[str, tuple[str, ...]]) -> dict[str, pa.Array]:
    document = documents.combine_chunks()
    return {name: pc.struct_field(document, list(path)) for name, path in paths.items()}


def _is_null(column: pa.ChunkedArray) -> Mask:
    mask: Mask = pc.is_null(column).to_numpy()
    return mask


def _is_empty(column: pa.ChunkedArray) -> Mask:
    """Return which rows of a column of names have none."""
    codes, names = split(column)
    return np.array([not name for name in names], dtype=bool)[codes]
