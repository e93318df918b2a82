"""Queries over ten million lines: `python -m tests.bench.query [million lines]`.

The lines are made inside the engine: 100 pods of 20 models in 4 namespaces over about a day, messages of about 150
characters. Every figure is the median of several runs through the same modules that answer HTTP, on a warm page cache;
the searches of text and the histogram look at one million of the lines.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from logserver.counts import read_histogram, span
from logserver.engines.embedded import EmbeddedStore
from logserver.filters import Selection, select
from logserver.pages import read_page
from logserver.query_settings import QuerySettings
from logserver.reader import Reader, RequestDeadline
from logserver.schema import Dialect, migrate
from logserver.times import NS, TimeRange

RUNS = 9
START_NS = 1_772_323_200 * NS
STEP_NS = 8_000_000

_ROWS = """
INSERT INTO lines SELECT
    fromUnixTimestamp64Nano(toInt64({start:Int64} + number * {step:Int64}), 'UTC') AS ts,
    'ns' || toString(intDiv(number % 20, 5)), 'model' || toString(number % 20), 'default',
    'model' || toString(number % 20) || '-' || toString(intDiv(number, 20) % 5), 'classifier',
    'node' || toString(number % 7), if(number % 3 = 0, 'stderr', 'stdout'),
    ['info', 'info', 'info', 'warn', 'error', 'debug'][1 + intHash32(number) % 6],
    concat('2026-03-01 INFO request ', toString(intHash32(number)), ' path=/v1/models/', toString(number % 997),
           ':predict status=200 duration=', toString(intHash32(number + 7) % 10000), 'ms user=', hex(intHash64(number)),
           ' tensor shape (1, 224, 224, 3) batch ', toString(number % 64)),
    '', '{"app":"x"}', '', 'cid' || toString(number % 100), '/var/log/containers/' || toString(number % 100) || '.log',
    number % 100 + 1000, intDiv(number, 100) * 200, 'logs', toUInt32(number % 4), intDiv(number, 4), ts, ts, 7,
    toDate(ts)
FROM numbers({first:UInt64}, {count:UInt64})
"""


def fill(store: EmbeddedStore, lines: int) -> float:
    """Store the lines; return bytes on disk for each."""
    for first in range(0, lines, 500_000):
        store.execute(_ROWS, {"start": START_NS, "step": STEP_NS, "first": first, "count": min(500_000, lines - first)})
    sizes = "SELECT sum(bytes_on_disk) AS size FROM system.parts WHERE table = 'lines' AND active"
    [size] = [row["size"] for batch in store.select(sql=sizes) for row in batch.to_pylist()]
    return float(size) / lines


async def median_ms(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the median time of the work and of the CPU it took, in milliseconds."""
    times, cpu_times = [], []
    for _ in range(RUNS):
        started, cpu_started = time.perf_counter(), time.process_time()
        await work()
        times.append((time.perf_counter() - started) * 1000)
        cpu_times.append((time.process_time() - cpu_started) * 1000)
    return statistics.median(times), statistics.median(cpu_times)


async def measure(reader: Reader, lines: int) -> None:
    """Print the table."""
    million = TimeRange(START_NS + (lines - 1_000_000) * STEP_NS, START_NS + lines * STEP_NS)
    end = TimeRange(end_ns=million.end_ns)

    async def last(selection: Selection) -> None:
        deadline = RequestDeadline(30)
        page = await read_page(reader, selection, end, cursor=None, direction="backward", limit=100, deadline=deadline)
        assert len(page.lines) == 100

    async def count(selection: Selection) -> None:
        await span(reader, selection, million)

    async def histogram() -> None:
        await read_histogram(reader, Selection(), million, by="level", buckets=60, step_ns=None)

    rows: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
        ("last 100 lines of a pod", 10, lambda: last(select([("namespace", ["ns0"]), ("pod", ["model0-1"])]))),
        ("last 100 lines of a model", 10, lambda: last(select([("namespace", ["ns0"]), ("model", ["model0"])]))),
        ("last 100 lines of everything", 100, lambda: last(Selection())),
        ("count of a substring, 1 M lines", 100, lambda: count(select(contains=["duration=77"]))),
        ("count of a rare word, 1 M lines", 20, lambda: count(select(words=["4242424242"]))),
        ("count of a regex, 1 M lines", 100, lambda: count(select(regexes=[r"duration=77\d\dms"]))),
        ("histogram by level, 1 M lines", 20, histogram),
    ]
    for name, target_ms, work in rows:
        wall_ms, cpu_ms = await median_ms(work)
        print(f"{name:36s} {wall_ms:8.1f} ms, {cpu_ms:8.1f} ms of CPU; target {target_ms:g} ms")  # noqa: T201


async def main(lines: int) -> None:
    """Fill a store and measure."""
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(Path(directory), sessions=4)
        migrate(store, Dialect())
        print(f"{lines:,} lines, {fill(store, lines):.1f} bytes on disk for each")  # noqa: T201
        reader = Reader(store, QuerySettings(running_max=2))
        await measure(reader, lines)
        await reader.close()
        store.close()


if __name__ == "__main__":
    asyncio.run(main(int(float(sys.argv[1] if len(sys.argv) > 1 else "10") * 1_000_000)))
