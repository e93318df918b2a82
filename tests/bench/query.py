"""Queries over ten million lines: `python -m tests.bench.query [million lines]`.

The lines are those of the demo's fleet (see `_lines.py`), 88 containers over five hours, in the parts that inserts and
background merges leave. Every figure is of 15 runs through the same modules that answer HTTP, on a warm page cache and
without the engine's memory of where earlier queries found nothing; the searches of text and the histogram look at the
newest million lines. The median wall-clock time depends on what else the machine does; the least CPU time (of all
threads) does much less; and the last column hardly: it is the CPU time against that of a plain scan in the same run,
which reads every message of that million.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from logserver.engines.embedded import EmbeddedStore
from logserver.query.filters import Selection, select
from logserver.query_settings import QuerySettings
from logserver.read.counts import read_histogram, span
from logserver.read.pages import read_page
from logserver.read.reader import Reader, RequestDeadline
from logserver.schema import Dialect, migrate
from logserver.store import read
from logserver.times import TimeRange
from tests.bench._lines import make_tile

RUNS = 15
TILE_LINES = 500_000
INSERT_LINES = 50_000
CALM_LOOKS = 25
RARE = "OOMKilled7f3a"


@dataclass(frozen=True, slots=True)
class Filled:
    """What was stored: the newest million lines, and what the inserts took."""

    million: TimeRange
    insert_cpu_us: float
    bytes_per_line: float
    parts: int


def fill(store: EmbeddedStore, count: int) -> Filled:
    """Store about `count` lines, one of them with a rare word, and wait for the merges under way."""
    tile = make_tile(store.transform, min(count, TILE_LINES))
    cpu_s = 0.0
    for number in range(count // tile.lines.num_rows):
        lines = tile.at(number)
        if number == count // tile.lines.num_rows - 1:
            lines = _with_rare_word(lines)
        began = time.process_time()
        for first in range(0, lines.num_rows, INSERT_LINES):
            store.insert("lines", lines.slice(first, INSERT_LINES))
        cpu_s += time.process_time() - began
    began = time.process_time()
    calm = 0  # a merge that ends lets the engine think of the next one a moment later
    while calm < CALM_LOOKS:
        calm = 0 if read(store, "SELECT count() AS running FROM system.merges")[0]["running"] else calm + 1
        time.sleep(0.2)
    cpu_s += time.process_time() - began
    [parts] = read(
        store,
        "SELECT count() AS parts, sum(bytes_on_disk) AS size, sum(rows) AS lines FROM system.parts "
        "WHERE table = 'lines' AND active",
    )
    end_ns = pc.max(lines["ts"]).value + 1
    million = TimeRange(end_ns - tile.length_ns * 1_000_000 // tile.lines.num_rows, end_ns)
    return Filled(
        million, cpu_s / count * 1e6, int(str(parts["size"])) / int(str(parts["lines"])), int(str(parts["parts"]))
    )


def _with_rare_word(lines: pa.Table) -> pa.Table:
    messages = lines["message"].to_pylist()
    messages[len(messages) // 2] = f"container {RARE} was restarted"
    place = lines.schema.get_field_index("message")
    return lines.set_column(place, lines.schema.field(place), pa.array(messages, pa.string()))


async def time_ms(store: EmbeddedStore, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the median time of the work and the least CPU time it took, in milliseconds."""
    times, cpu_times = [], []
    for _ in range(RUNS):
        store.execute("SYSTEM DROP QUERY CONDITION CACHE")
        started, cpu_started = time.perf_counter(), time.process_time()
        await work()
        times.append((time.perf_counter() - started) * 1000)
        cpu_times.append((time.process_time() - cpu_started) * 1000)
    return statistics.median(times), min(cpu_times)


async def measure(store: EmbeddedStore, reader: Reader, million: TimeRange) -> None:
    """Print the table."""
    newest = TimeRange(end_ns=million.end_ns)
    rows = await reader.rows("SELECT namespace, model, pod FROM lines WHERE model = 'ranker-1' LIMIT 1")
    [names] = rows.to_pylist()
    pod, model = ([("namespace", [names["namespace"]]), (field, [names[field]])] for field in ("pod", "model"))

    async def last(selection: Selection) -> None:
        deadline = RequestDeadline(30)
        found = await read_page(
            reader, selection, newest, cursor=None, direction="backward", limit=100, deadline=deadline
        )
        assert len(found.lines) == 100

    async def count(selection: Selection, *, some: bool = True) -> None:
        assert bool(await span(reader, selection, million)) == some

    async def histogram(by: str) -> None:
        found = await read_histogram(reader, Selection(), million, by=by, buckets=60, step_ns=None)
        assert sum(sum(counts.values()) for _, counts in found.bars) > 900_000

    rows_: list[tuple[str, float | None, Callable[[], Awaitable[object]]]] = [
        (
            "plain scan: a regex without a literal, 1 M",
            None,
            lambda: count(select(regexes=[r"[^\x00-\x{10FFFE}]"]), some=False),
        ),
        ("last 100 lines of a pod", 10, lambda: last(select(pod))),
        ("last 100 lines of a model", 10, lambda: last(select(model))),
        ("last 100 lines of everything", 100, lambda: last(Selection())),
        ("substring latency_us=77, 1 M", 100, lambda: count(select(contains=["latency_us=77"]))),
        ("substring timed out, 1 M", 100, lambda: count(select(contains=["timed out"]))),
        ("rare word, 1 M", 20, lambda: count(select(words=[RARE]))),
        (r"regex latency_us=77\d\d, 1 M", 100, lambda: count(select(regexes=[r"latency_us=77\d\d"]))),
        (
            "regex (timed out|OutOfMemory).*GiB, 1 M",
            100,
            lambda: count(select(regexes=["(timed out|OutOfMemory).*GiB"])),
        ),
        ("regex (?i)outofmemory, 1 M", 100, lambda: count(select(regexes=["outofmemory"], ignore_case=True))),
        ("histogram by level, 1 M", 20, lambda: histogram("level")),
        ("histogram by pod, 1 M", None, lambda: histogram("pod")),
    ]
    scan_cpu_ms = 0.0
    for name, target_ms, work in rows_:
        wall_ms, cpu_ms = await time_ms(store, work)
        scan_cpu_ms = scan_cpu_ms or cpu_ms
        target = f"{target_ms:g} ms" if target_ms else ""
        print(f"| {name} | {wall_ms:.1f} ms | {cpu_ms:.1f} ms | {target} | {cpu_ms / scan_cpu_ms:.3f} |")  # noqa: T201


async def main(count: int) -> None:
    """Fill a store and measure."""
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(Path(directory), sessions=4)
        migrate(store, Dialect())
        filled = fill(store, count)
        print(  # noqa: T201
            f"{count:,} lines in {filled.parts} parts, {filled.bytes_per_line:.1f} bytes on disk and "
            f"{filled.insert_cpu_us:.1f} us of CPU for each, merges included; {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f}"
        )
        print("| query | wall, median | CPU, least | target | of a scan |")  # noqa: T201
        reader = Reader(store, QuerySettings(running_max=2))
        await measure(store, reader, filled.million)
        print(f"load at the end {os.getloadavg()[0]:.1f}")  # noqa: T201
        await reader.close()
        store.close()


if __name__ == "__main__":
    asyncio.run(main(int(float(sys.argv[1] if len(sys.argv) > 1 else "10") * 1_000_000)))
