"""What can go wrong, split by who must act.

    LogServerError
    ├── Transient        the same call may succeed later: retry with backoff (store down, network, too busy)
    ├── Rejected         this row or request is at fault: never retry it as it is
    │   ├── QueryTimeout     the query ran past its time limit
    │   ├── QueryTooLarge    the query ran past its row or memory limit
    │   └── QueryCancelled   the caller cancelled the query
    └── Fatal            the program or its set-up is at fault: stop and say why
        ├── Fenced           another replica owns the partition now; what this one still holds must be dropped
        └── TooManyRejects   the configured ratio of bad documents was passed

Foreign exceptions (chdb, clickhouse_driver, aiokafka) are translated into this tree in the one file that imports the
library, always with `raise ... from`.
"""

# Names say what to do, not that they are errors.
# ruff: noqa: N818

from __future__ import annotations


class LogServerError(Exception):
    """The root of every error the log-server raises on purpose."""


class Transient(LogServerError):
    """The same call may succeed later."""


class Rejected(LogServerError):
    """The row or the request is at fault."""


class QueryTimeout(Rejected):
    """A query ran past `Limits.time_s`."""


class QueryTooLarge(Rejected):
    """A query ran past `Limits.rows` or `Limits.memory_bytes`."""


class QueryCancelled(Rejected):
    """The caller cancelled a query by its `Cancel`."""


class Fatal(LogServerError):
    """The program or its set-up is at fault."""


class Fenced(Fatal):
    """A newer owner has registered for a partition this process still works on."""


class TooManyRejects(Fatal):
    """More documents were bad than `ingest.reject_ratio` allows."""
