"""How far the store is: the vector of what all replicas have stored, and what lies before or behind a vector."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logserver.query.cursor import Vector
from logserver.read.reader import Reader
from logserver.record import TopicPartition

_POSITIONS = (
    "SELECT topic, partition, argMax(next_offset, (epoch, seq)) AS next_offset FROM positions GROUP BY topic, partition"
)


async def stored_vector(reader: Reader) -> dict[TopicPartition, int]:
    """Return the next offset of each partition; raises what `Reader.rows` raises."""
    rows = await reader.rows(_POSITIONS)
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows.to_pylist()}


def is_behind(vector: Vector, at_least: Vector) -> bool:
    """Return whether something lies before `at_least` that `vector` has not passed."""
    return any(vector.get(place, 0) < offset for place, offset in at_least.items())


def without_passed(lines: pa.Table, place: TopicPartition, passed: int) -> pa.Table:
    """Return the lines without those of one partition before the offset `passed`."""
    here = pc.and_(pc.equal(lines.column("partition"), place.partition), pc.equal(lines.column("topic"), place.topic))
    old = pc.and_(here, pc.less(lines.column("offset"), passed))
    return lines.filter(pc.invert(old)) if np.asarray(old).any() else lines
