"""The store for coroutines: blocking queries in a bounded pool, each with limits, cancelled with its task.

At most `running_max` queries run and `waiting_max` wait; more are refused at once (`Busy`), so a flood of readers
costs neither memory nor the write side. Every query is small on purpose: a page, a chart, a list of values. Long
results (exports, catching up) are many pages, so no client, however slow, ever holds a connection of the store.

A result is held in this process, so its bytes are bounded too: by a part of what the store may use for the query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from logserver.errors import LogServerError, QueryTimeout, QueryTooLarge
from logserver.query_settings import QuerySettings
from logserver.store import NO_PARAMS, Cancel, Limits, Params, Store
from milepost.units import format_duration, format_size


class Busy(LogServerError):  # noqa: N818 - as its siblings
    """Too many queries wait already; the caller may come again."""


DAYS_FRESH_S = 10.0
RESULT_SHARE = 8
"""A result has at most this part of query.memory_max."""
_TOO_LONG = "this takes longer than query.time_max={}"
_TOO_LARGE = (
    "this needs more memory than query.memory_max={} (of which an eighth is for the result), or gives more rows than "
    "query.rows_max={}"
)


class RequestDeadline:
    """A time limit over all queries of one request."""

    def __init__(self, time_s: float) -> None:
        self.time_s = time_s
        self._ends = asyncio.get_running_loop().time() + time_s

    def left_s(self) -> float:
        """Return the seconds left."""
        return self._ends - asyncio.get_running_loop().time()


class Reader:
    """Runs selects of a Store for coroutines."""

    def __init__(self, store: Store, settings: QuerySettings) -> None:
        self.settings = settings
        self.result_bytes_max = settings.memory_max // RESULT_SHARE
        self._store = store
        self._pool = ThreadPoolExecutor(settings.running_max, thread_name_prefix="query")
        self._slots = asyncio.Semaphore(settings.running_max)
        self._waiting = 0
        self._days, self._days_end_s = (0, 0), 0.0

    async def days(self) -> tuple[int, int]:
        """Return the first and the last day (since 1970) that has lines, known for DAYS_FRESH_S; (0, 0) for none.

        Raises what `rows` raises.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._days_end_s:
            found = await self.rows("SELECT toUInt16(min(day)) AS first, toUInt16(max(day)) AS last FROM lines")
            self._days = (found["first"][0].as_py(), found["last"][0].as_py())
            # An empty store fills at once.
            self._days_end_s = now_s + DAYS_FRESH_S * any(self._days)
        return self._days

    async def rows(
        self, sql: str, params: Params = NO_PARAMS, *, time_s: float | None = None, small: bool = False
    ) -> pa.Table:
        """Return the whole result of a select that is small by its LIMIT or GROUP BY.

        Raises QueryTimeout, QueryTooLarge, Rejected, Transient, Busy. When the calling task is cancelled, so is the
        query.
        """
        if time_s is not None and time_s <= 0:
            raise QueryTimeout(_TOO_LONG.format(format_duration(self.settings.time_max)))
        limits = Limits(
            time_s=self.settings.time_max if time_s is None else time_s,
            rows=self.settings.rows_max,
            result_bytes=self.result_bytes_max,
            memory_bytes=self.settings.memory_max,
            prompt="match(" in sql,  # RE2 alone has a price that the caller sets
            small=small,
        )
        if self._waiting >= self.settings.waiting_max:
            raise Busy(f"{self._waiting} queries wait already, the bound of query.waiting_max")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        return await self._run(sql, params, limits)

    async def rows_up_to(
        self,
        limit: int,
        query: Callable[[int], tuple[str, Params]],
        *,
        deadline: RequestDeadline | None = None,
        small: bool = False,
    ) -> tuple[pa.Table, bool]:
        """Return the first rows of `query(limit)`, fewer than `limit` where they are huge, and whether more may follow.

        Raises what `rows` raises; QueryTooLarge only when a single row is too large.
        """
        while True:
            sql, params = query(limit)
            try:
                time_s = None if deadline is None else deadline.left_s()
                rows = await self.rows(sql, params, time_s=time_s, small=small)
            except QueryTooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
            else:
                return rows, rows.num_rows == limit

    async def _run(self, sql: str, params: Params, limits: Limits) -> pa.Table:
        cancel = Cancel()
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._select, sql, params, limits, cancel)
        # The slot is free only when the thread is: a cancelled query may take a moment to end.
        work.add_done_callback(lambda _: self._slots.release())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            asyncio.get_running_loop().run_in_executor(None, cancel.cancel)  # it talks to the store
            work.add_done_callback(_forget)
            raise

    def _select(self, sql: str, params: Params, limits: Limits, cancel: Cancel) -> pa.Table:
        try:
            return self._store.select(sql, params, limits=limits, cancel=cancel)
        except QueryTimeout as error:
            raise QueryTimeout(_TOO_LONG.format(format_duration(self.settings.time_max))) from error
        except QueryTooLarge as error:
            memory = format_size(self.settings.memory_max)
            raise QueryTooLarge(_TOO_LARGE.format(memory, self.settings.rows_max)) from error

    async def close(self) -> None:
        """End the pool's threads once their queries have ended."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


def _forget(work: asyncio.Future[pa.Table]) -> None:
    """Take the outcome of a query nobody waits for, so that asyncio does not report it as lost."""
    if not work.cancelled():
        work.exception()
