"""The store's engines: `embedded` (chDB in this process) and `server` (ClickHouse over its native protocol)."""

from __future__ import annotations

from logserver.store import Limits

# For `Limits.prompt`. The engine looks at its clock, and whether a query was cancelled, between two blocks of rows; a
# block of the default size can take a slow expression half a minute, and with the cache of query conditions the engine
# does not look at all (both measured).
_PROMPT: dict[str, int] = {"max_block_size": 2048, "use_query_condition_cache": 0}
# For `Limits.small`: neither divided among threads nor compiled, and skip indexes are asked once and not while reading,
# which all cost more than they gain.
_SMALL: dict[str, int] = {"max_threads": 1, "compile_expressions": 0, "use_skip_indexes_on_data_read": 0}

# ClickHouse error codes (src/Common/ErrorCodes.cpp) by what a caller can do about them.
TIMEOUT_CODES = frozenset({159, 160})  # TIMEOUT_EXCEEDED, TOO_SLOW
TOO_LARGE_CODES = frozenset({158, 241, 307, 396})  # TOO_MANY_ROWS, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, …_OR_BYTES
CANCELLED_CODES = frozenset({394})  # QUERY_WAS_CANCELLED
TRANSIENT_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        253,  # REPLICA_ALREADY_EXISTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        341,  # UNFINISHED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION
    }
)


def limit_settings(limits: Limits) -> dict[str, int | float | str]:
    """Return the engine's settings that keep a query within its limits."""
    bounds: dict[str, int | float] = {
        "max_execution_time": limits.time_s,
        "max_result_rows": limits.rows,
        "max_result_bytes": limits.result_bytes,
        "max_rows_to_read": limits.read_rows,
        "max_memory_usage": limits.memory_bytes,
    }
    settings: dict[str, int | float | str] = {name: bound for name, bound in bounds.items() if bound}
    if limits.rows or limits.result_bytes:
        settings["result_overflow_mode"] = "throw"
    if limits.read_rows:
        settings["read_overflow_mode"] = "throw"
    if limits.prompt:
        settings |= _PROMPT
    if limits.small:
        settings |= _SMALL
    return settings
