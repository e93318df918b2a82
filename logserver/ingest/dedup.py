"""Each line once: tells new lines from repeats, with as few looks into the store as possible.

A line's identity is (file_id, file_offset, ts). Per file three facts are kept:

- the *mark*, the highest offset anyone ever meant to store. It is written to `files` before the lines, so after a crash
  it is an upper bound: a line beyond it is certainly new.
- the *floor*, the highest offset of which this process no longer remembers every line it stored: at first the mark it
  found in the store. A line above the floor and at or below the mark is looked up among the remembered lines, in memory
  and exactly; a line at or below the floor in the store, by primary key.
- remembered lines, in blocks of one batch each; when they are too many the oldest block goes and raises the floors.

So ordinary traffic costs nothing, lines of one file that arrive out of order over several partitions cost a lookup in
memory, and only what was sent or delivered again costs a query. Files beyond `files_max` are forgotten (least recently
used first) and their marks read again when needed.

A line that the store has at the very position it is delivered at was *left behind*: a crash, or an owner that gave up,
came between its insert and its position. It is not stored again, but it arrives only now.

Not seen here: a file whose lines come through partitions of two replicas at the same moment, that is Filebeat without a
key; its repeats are collapsed by the table's engine.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logserver.ingest.identities import Block, Identities, Mask, Offsets, first_of_each, identities_of, structured
from logserver.record import MARK_SCHEMA, MILLISECONDS
from logserver.store import Store

NO_MARK = -1
_LOOKUP_ROWS_MAX = 20_000


@dataclass(slots=True)
class FileState:
    """What is known of one file; NO_MARK when nothing of it was ever stored."""

    mark: int = NO_MARK
    floor: int = NO_MARK


@dataclass(frozen=True, slots=True)
class Fresh:
    """The lines of a batch that were never stored, with the marks to write before them (MARK_SCHEMA).

    `arrived` are these lines and those left behind, in the order of the batch.
    """

    lines: pa.Table
    arrived: pa.Table
    marks: pa.Table
    duplicates: int
    suspects: int


class Dedup:
    """Remembers what was stored; one thread at a time."""

    def __init__(self, store: Store, *, files_max: int, recent_lines_max: int) -> None:
        self._store = store
        self._files_max = files_max
        self._recent_lines_max = recent_lines_max
        self._files: OrderedDict[int, FileState] = OrderedDict()
        self._recent: deque[Block] = deque()
        self._recent_lines = 0

    def forget(self) -> None:
        """Drop everything remembered, after batches were given up whose lines may or may not be stored."""
        self._files.clear()
        self._recent.clear()
        self._recent_lines = 0

    def fresh(self, lines: pa.Table) -> Fresh:
        """Return the new lines of a table of LINE_SCHEMA and remember them. Raises what the store raises."""
        identities = identities_of(lines)
        first = first_of_each(identities)
        files, inverse = np.unique(identities["file"], return_inverse=True)
        states = self._states(files)
        known_marks = np.array([state.mark for state in states], dtype=np.int64)[inverse]
        floors = np.array([state.floor for state in states], dtype=np.int64)[inverse]
        offsets = identities["offset"].astype(np.int64)
        in_memory = first & (offsets <= known_marks) & (offsets > floors)
        in_store = first & (offsets <= floors)
        keep = first
        keep[in_memory] = ~self._remembered(identities[in_memory])
        found = self._found(lines, identities, in_store)
        keep[in_store] = ~Block.of(_found_identities(found)).has(identities[in_store])
        kept = _those(lines, keep)
        left_behind = _left_behind(lines, offsets <= floors, found)
        return Fresh(
            kept,
            _those(lines, keep | left_behind) if left_behind.any() else kept,
            self._remember(identities[keep], files, inverse[keep], states),
            duplicates=lines.num_rows - kept.num_rows,
            suspects=int(in_store.sum()),
        )

    def _states(self, files: Offsets) -> list[FileState]:
        """Return the state of each file, reading the marks of those not known from the store."""
        unknown = [int(file) for file in files if int(file) not in self._files]
        if unknown:
            marks = self._read_marks(unknown)
            for file in unknown:
                mark = marks.get(file, NO_MARK)
                self._files[file] = FileState(mark, mark)
        states = []
        for file in files:
            self._files.move_to_end(int(file))
            states.append(self._files[int(file)])
        while len(self._files) > max(self._files_max, len(files)):
            self._files.popitem(last=False)
        return states

    def _read_marks(self, files: Sequence[int]) -> dict[int, int]:
        marks: dict[int, int] = {}
        for start in range(0, len(files), _LOOKUP_ROWS_MAX):
            sql = "SELECT file_id, max(mark) AS mark FROM files WHERE file_id IN {ids:Array(UInt64)} GROUP BY file_id"
            rows = self._store.select(sql, {"ids": list(files[start : start + _LOOKUP_ROWS_MAX])})
            if rows.num_rows:
                marks.update(zip(rows["file_id"].to_pylist(), rows["mark"].to_pylist(), strict=True))
        return marks

    def _remembered(self, identities: Identities) -> Mask:
        """Return which of these lines are among the remembered ones."""
        found = np.zeros(len(identities), dtype=bool)
        if len(identities):
            for block in self._recent:
                found |= block.has(identities)
        return found

    def _found(self, lines: pa.Table, identities: Identities, suspects: Mask) -> pa.Table:
        """Return the rows of the store that may be suspect lines, asking by namespace, pod, container and time."""
        rows = np.flatnonzero(suspects)
        asked = (rows[start : start + _LOOKUP_ROWS_MAX] for start in range(0, len(rows), _LOOKUP_ROWS_MAX))
        answers = (self._lookup(lines.take(pa.array(some)), identities[some]) for some in asked)
        found = [answer for answer in answers if answer.num_rows]
        return pa.concat_tables(found) if found else _NOTHING_FOUND

    def _lookup(self, lines: pa.Table, identities: Identities) -> pa.Table:
        names = {name: [text or "" for text in lines[name].unique().to_pylist()] for name in _LOOKUP_NAMES}
        params: dict[str, object] = {f"{name}s": values for name, values in names.items()}
        params["files"] = [int(file) for file in np.unique(identities["file"])]
        params["times"] = [int(ts) for ts in np.unique(identities["ts"])]
        return self._store.select(_LOOKUP_SQL, params)

    def _remember(
        self, identities: Identities, files: Offsets, inverse: npt.NDArray[np.int64], states: list[FileState]
    ) -> pa.Table:
        """Take the new lines into memory; return the marks they raise."""
        highest = np.full(len(files), NO_MARK, dtype=np.int64)
        np.maximum.at(highest, inverse, identities["offset"].astype(np.int64))
        raised = [row for row, state in enumerate(states) if highest[row] > state.mark]
        for row in raised:
            states[row].mark = int(highest[row])
        if len(identities):
            self._recent.append(Block.of(identities))
            self._recent_lines += len(identities)
        while self._recent_lines > self._recent_lines_max:
            self._forget_oldest()
        now = np.datetime64("now", "ms").astype(np.int64)
        return pa.table(
            [
                pa.array(files[raised]),
                pa.array(highest[raised].astype(np.uint64)),
                pa.repeat(pa.scalar(int(now), MILLISECONDS), len(raised)),
            ],
            schema=MARK_SCHEMA,
        )

    def _forget_oldest(self) -> None:
        block = self._recent.popleft().identities
        self._recent_lines -= len(block)
        files, inverse = np.unique(block["file"], return_inverse=True)
        highest = np.zeros(len(files), dtype=np.uint64)
        np.maximum.at(highest, inverse, block["offset"])
        for file, offset in zip(files.tolist(), highest.tolist(), strict=True):
            state = self._files.get(file)
            if state is not None:
                state.floor = max(state.floor, offset)


# The time column is part of the primary key only as it is, so times are compared as DateTime64.
_LOOKUP_SQL = """
SELECT file_id, file_offset, toUnixTimestamp64Nano(ts) AS ns, topic, partition, offset
FROM lines
WHERE namespace IN {namespaces:Array(String)} AND pod IN {pods:Array(String)}
  AND container IN {containers:Array(String)}
  AND ts IN (SELECT fromUnixTimestamp64Nano(arrayJoin({times:Array(Int64)}), 'UTC'))
  AND file_id IN {files:Array(UInt64)}
"""
_LOOKUP_NAMES = ("namespace", "pod", "container")
_PLACE = ("topic", "partition", "offset")
_NOTHING_FOUND = pa.table(
    {"file_id": pa.array([], pa.uint64()), "file_offset": pa.array([], pa.uint64()), "ns": pa.array([], pa.int64())}
)


def _those(lines: pa.Table, which: Mask) -> pa.Table:
    return lines if which.all() else lines.filter(pa.array(which))


def _left_behind(lines: pa.Table, may_be_stored: Mask, found: pa.Table) -> Mask:
    """Return which lines the store has at the very position they are delivered at."""
    left = np.zeros(lines.num_rows, dtype=bool)
    if found.num_rows:
        rows = np.flatnonzero(may_be_stored)
        delivered = lines.take(pa.array(rows))
        keys = _keys(identities_of(delivered), delivered)
        stored = set(_keys(_found_identities(found), found))
        left[rows] = [key in stored for key in keys]
    return left


def _keys(identities: Identities, rows: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(identities.tolist(), *(rows[name].to_pylist() for name in _PLACE), strict=True)


def _found_identities(found: pa.Table) -> Identities:
    return structured(*(found[name].to_numpy() for name in ("file_id", "file_offset", "ns")))
