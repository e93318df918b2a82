"""The store's engines: `embedded` (chDB in this process) and `server` (ClickHouse over its native protocol)."""

from __future__ import annotations

# For `Limits.prompt`. The engine looks at its clock, and whether a query was cancelled, between two blocks of rows; a
# block of the default size can take a slow expression half a minute, and with the cache of query conditions the engine
# does not look at all (both measured).
PROMPT_SETTINGS: dict[str, int] = {"max_block_size": 2048, "use_query_condition_cache": 0}

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
