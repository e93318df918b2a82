"""The settings of the read side: the HTTP server, queries and followers. Every bound of a read has its name here."""

from __future__ import annotations

from dataclasses import dataclass

from milepost.settings import setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the HTTP API listens."""

    host: str = setting("127.0.0.1", "The address to listen on; loopback unless you also choose an --auth-mode.")
    port: int = setting(8080, "The port to listen on; 0 takes a free one.")
    shutdown_timeout: Seconds = setting(Seconds(10), "How long open requests may go on after a stop is asked for.")


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """Bounds of one query and of all of them together."""

    time_max: Seconds = setting(Seconds(30), "Time one query may take; what was found until then is returned.")
    memory_max: Bytes = setting(
        Bytes(2**29), "Memory of the store one query may use; a page that needs more ends early."
    )
    rows_max: int = setting(1_000_000, "Rows one query of the store may return; what needs more is refused with 413.")
    lines_max: int = setting(10_000, "The largest `limit` of a page.")
    buckets_max: int = setting(2_000, "Bars of one histogram at most.")
    values_max: int = setting(1_000, "Values of a field returned at most.")
    namespaces_max: int = setting(1_000, "Namespaces whose permission is asked for one query at most.")
    running_max: int = setting(8, "Queries that run at once; further ones wait.")
    waiting_max: int = setting(256, "Queries that wait at most; further ones are refused with 503.")
    export_page: int = setting(5_000, "Lines an export reads at a time.")


@dataclass(frozen=True, slots=True)
class TailSettings:
    """Bounds of following."""

    followers_max: int = setting(2_000, "Followers at once; further ones are refused with 503.")
    lines_max: int = setting(50_000, "Lines that wait for one slow follower; beyond it lines are dropped and told.")
    bytes_max: Bytes = setting(Bytes(32 * 2**20), "Bytes that wait for one slow follower.")
    chunk_lines: int = setting(500, "Lines in one event at most.")
    heartbeat: Seconds = setting(Seconds(15), "A sign of life after this much silence.")
    poll_interval: Seconds = setting(Seconds(0.25), "How often lines stored by other replicas are looked for.")
    inbox_batches: int = setting(16, "Stored batches that wait for the hub; beyond it they are read from the store.")
    check_access: Seconds = setting(Seconds(60), "How often a follower's permission is checked again.")
