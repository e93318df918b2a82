"""A Selection as predicates on Arrow batches, for lines that are followed before any query reads them.

They select the same lines as the SQL of `logserver.query` does. Both sides use RE2 in the same mode, and
the text conditions run in Arrow's kernels, without the interpreter's lock and only on lines whose stream matched.

A *stream* is one combination of STREAM_FIELDS. A batch is turned into stream numbers once (`StreamNumbers`), for all
followers; a `Matcher` then judges each stream once in its life.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logserver.query import text_regexes, word_regex
from logserver.query.filters import STREAM_FIELDS, FieldFilter, Selection

Stream = tuple[str, ...]
"""The values of STREAM_FIELDS, in that order."""
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_UNKNOWN, _NO, _YES = np.int8(-1), np.int8(0), np.int8(1)


class StreamNumbers:
    """Gives every stream a number, the same in all batches; starts again when it holds `streams_max`.

    A new `generation` makes every number given before meaningless.
    """

    def __init__(self, streams_max: int = 100_000) -> None:
        self._streams_max = streams_max
        self._numbers: dict[Stream, int] = {}
        self.streams: list[Stream] = []
        self.generation = 0

    def of(self, lines: pa.RecordBatch | pa.Table) -> Numbers:
        """Return the stream number of each row."""
        codes, streams = _combinations(lines)
        if len(self.streams) + len(streams) > self._streams_max:
            self._numbers, self.streams = {}, []
            self.generation += 1
        numbers = np.fromiter((self._number(stream) for stream in streams), np.int64, len(streams))
        return numbers[codes] if len(streams) else codes

    def _number(self, stream: Stream) -> int:
        number = self._numbers.setdefault(stream, len(self.streams))
        if number == len(self.streams):
            self.streams.append(stream)
        return number


class Matcher:
    """Decides which lines of a batch a Selection wants."""

    def __init__(self, selection: Selection) -> None:
        self._stream_tests = _stream_tests(selection)
        self._text_tests = _text_tests(selection)
        self._exact = {"trace_id": selection.trace_id, "container_id": selection.container_id}
        self._verdicts = np.full(64, _UNKNOWN, np.int8)
        self._generation = -1

    def wants_stream(self, stream: Stream) -> bool:
        """Return whether lines of this stream can match."""
        return all(test(stream[place]) for place, test in self._stream_tests)

    def rows(self, lines: pa.RecordBatch | pa.Table, numbers: Numbers, known: StreamNumbers) -> Numbers:
        """Return the indexes of the wanted rows, in their order; `numbers` are those `known` gave for `lines`."""
        rows = np.flatnonzero(self._by_stream(numbers, known))
        for name, wanted in self._exact.items():
            if wanted and len(rows):
                rows = rows[_flags(pc.equal(lines.column(name).take(pa.array(rows)).cast(pa.string()), wanted))]
        for test in self._text_tests:
            if not len(rows):
                break
            rows = rows[_flags(test(lines.column("message").take(pa.array(rows))))]
        return rows

    def _by_stream(self, numbers: Numbers, known: StreamNumbers) -> Flags:
        if self._generation != known.generation or len(self._verdicts) < len(known.streams):
            self._grow(known)
        for number in np.unique(numbers[self._verdicts[numbers] == _UNKNOWN]):
            self._verdicts[number] = _YES if self.wants_stream(known.streams[number]) else _NO
        return np.asarray(self._verdicts[numbers] == _YES)

    def _grow(self, known: StreamNumbers) -> None:
        verdicts = np.full(max(64, 2 * len(known.streams)), _UNKNOWN, np.int8)
        if self._generation == known.generation:
            verdicts[: len(self._verdicts)] = self._verdicts
        self._verdicts, self._generation = verdicts, known.generation


def matching_rows(selection: Selection, lines: pa.RecordBatch | pa.Table) -> Numbers:
    """Return the indexes of the rows that a selection wants, for one batch alone."""
    known = StreamNumbers()
    return Matcher(selection).rows(lines, known.of(lines), known)


def _combinations(lines: pa.RecordBatch | pa.Table) -> tuple[Numbers, list[Stream]]:
    """Return for each row the index of its stream, and the distinct streams of the batch."""
    combined = np.zeros(lines.num_rows, np.int64)
    values: list[list[str]] = []
    for name in STREAM_FIELDS:
        indices, texts = dictionary(lines.column(name))
        values.append(texts)
        # Renumbering after each field keeps the numbers below rows x values: no overflow.
        _, combined = np.unique(combined * max(1, len(texts)) + indices, return_inverse=True)
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    columns = [dictionary(lines.column(name))[0][first] for name in STREAM_FIELDS]
    streams = [tuple(values[place][int(code)] for place, code in enumerate(row)) for row in zip(*columns, strict=True)]
    return codes, streams


def dictionary(column: pa.Array | pa.ChunkedArray) -> tuple[Numbers, list[str]]:
    """Return (code of each row, text of each code) of a column of names; null is the empty text."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # a table without chunks stays chunked
        array = pa.array([], array.type) if array.num_chunks == 0 else array.chunk(0)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    texts = [text or "" for text in array.dictionary.to_pylist()]
    indices = array.indices
    if indices.null_count:
        indices, texts = indices.fill_null(len(texts)), [*texts, ""]
    return indices.to_numpy(zero_copy_only=False).astype(np.int64), texts


def _stream_tests(selection: Selection) -> list[tuple[int, Callable[[str], bool]]]:
    tests: list[tuple[int, Callable[[str], bool]]] = [
        (STREAM_FIELDS.index(item.field), _field_test(item)) for item in selection.fields
    ]
    if selection.namespaces is not None:
        tests.append((STREAM_FIELDS.index("namespace"), frozenset(selection.namespaces).__contains__))
    return tests


def _field_test(item: FieldFilter) -> Callable[[str], bool]:
    wanted = re.compile("|".join(pattern.regex for pattern in item.wanted) if item.wanted else ".*", re.DOTALL)
    excluded = re.compile("|".join(pattern.regex for pattern in item.excluded) or "(?!)", re.DOTALL)
    return lambda value: wanted.fullmatch(value) is not None and excluded.fullmatch(value) is None


def _text_tests(selection: Selection) -> list[Callable[[pa.Array], pa.Array]]:
    tests: list[Callable[[pa.Array], pa.Array]] = []
    if not selection.ignore_case:
        tests += [_contains(text, wanted=True) for text in selection.contains]
        tests += [_contains(text, wanted=False) for text in selection.excludes]
        tests += [_matches(word_regex(word), wanted=True) for word in selection.words]
    return tests + [_matches(expression, wanted=wanted) for expression, wanted in text_regexes(selection)]


def _contains(text: str, *, wanted: bool) -> Callable[[pa.Array], pa.Array]:
    if wanted:
        return lambda messages: pc.match_substring(messages, text)
    return lambda messages: pc.invert(pc.match_substring(messages, text))


def _matches(expression: str, *, wanted: bool) -> Callable[[pa.Array], pa.Array]:
    # ClickHouse's match() lets a dot match a newline; Arrow's kernel does not unless told.
    dotall = f"(?s){expression}"
    if wanted:
        return lambda messages: pc.match_substring_regex(messages, dotall)
    return lambda messages: pc.invert(pc.match_substring_regex(messages, dotall))


def _flags(matched: pa.Array | pa.ChunkedArray) -> Flags:
    array = matched.combine_chunks() if isinstance(matched, pa.ChunkedArray) else matched
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)
