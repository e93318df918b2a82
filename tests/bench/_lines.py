"""Lines to measure queries on: what the demo's fleet prints, four times over, decoded as the log-server decodes it.

To write ten million messages in Python would take longer than all measurements, so one tile of them is written and
stored again and again with times, offsets and positions that go on. A repeat lies megabytes from its original in every
column, beyond what the compression of a block can see, so the size on disk is that of fresh text.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from logserver.decode import DOCUMENT_SCHEMA, Decoder, KeepDays
from logserver.decode.facts import Transform
from logserver.demo.fleet import FLEET, Container, containers
from logserver.record import LINE_SCHEMA, NAME
from logserver.times import NS
from milepost.units import Bytes

COPIES = 4
PARTITIONS = 4
TICK_S = 0.1
BEGIN = datetime.datetime(2026, 3, 4, 1, 0, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Tile:
    """Lines in order of arrival, and how far everything has gone on when they begin again."""

    lines: pa.Table
    length_ns: int
    file_bytes: int

    def at(self, number: int) -> pa.Table:
        """Return the lines as they come the `number`-th time (from 0)."""
        return self._ahead(
            ts=number * self.length_ns,
            appended_at=number * self.length_ns // 10**6,
            indexed_at=number * self.length_ns // 10**6,
            file_offset=number * self.file_bytes,
            offset=number * self.lines.num_rows,
        )

    def _ahead(self, **steps: int) -> pa.Table:
        lines = self.lines
        for name, step in steps.items():
            moved = pa.array(lines[name].cast(pa.int64()).to_numpy() + step).cast(LINE_SCHEMA.field(name).type)
            lines = lines.set_column(lines.schema.get_field_index(name), LINE_SCHEMA.field(name), moved)
        days = pa.array((lines["ts"].cast(pa.int64()).to_numpy() // (86_400 * NS)).astype(np.int32)).cast(pa.date32())
        return lines.set_column(lines.schema.get_field_index("day"), LINE_SCHEMA.field("day"), days)


def make_tile(transform: Transform, count: int) -> Tile:
    """Return about `count` lines of the fleet."""
    rng = random.Random(7)
    models = tuple(replace(model, name=f"{model.name}-{copy}") for copy in range(COPIES) for model in FLEET)
    fleet = containers(models, rng)
    documents = [document for document, _ in zip(_spoken(fleet, rng), range(count), strict=False)]
    values, places, times = zip(*documents, strict=True)
    offsets = [0] * PARTITIONS
    positions = []
    for place in places:
        positions.append(offsets[place])
        offsets[place] += 1
    table = pa.table(
        [
            pa.array(values, pa.binary_view()),
            pa.array([b""] * len(values), pa.binary()),
            pa.array(["logs"] * len(values)).dictionary_encode().cast(NAME),
            pa.array(places, pa.uint32()),
            pa.array(positions, pa.uint64()),
            pa.array(times, pa.timestamp("ms", "UTC")),
        ],
        schema=DOCUMENT_SCHEMA,
    )
    decoder = Decoder(transform, KeepDays(7, {}), document_bytes_max=Bytes(2**20), reject_bytes_max=Bytes(2**16))
    decoded = decoder.decode(table, now=BEGIN)
    assert not decoded.rejects.num_rows
    length_ns = (times[-1] - times[0] + 100) * 10**6
    return Tile(decoded.lines, length_ns, max(container.offset for container in fleet))


def _spoken(fleet: list[Container], rng: random.Random) -> Iterator[tuple[bytes, int, int]]:
    """Yield (document, partition, time in ms) for ever."""
    now = BEGIN
    while True:
        now += datetime.timedelta(seconds=TICK_S)
        for number, container in enumerate(fleet):
            for document in container.speak(rng, now, TICK_S, 1.0):
                yield document, number % PARTITIONS, int(now.timestamp() * 1000)
