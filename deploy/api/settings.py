"""Where the platform listens, and the bounds of what it keeps and streams."""

from __future__ import annotations

from dataclasses import dataclass

from milepost.settings import setting
from milepost.units import Seconds


@dataclass(frozen=True, slots=True)
class Server:
    """The platform's HTTP server."""

    host: str = setting("127.0.0.1", "Address to listen on")
    port: int = setting(8090, "Port to listen on")
    jobs_max: int = setting(500, "Most jobs kept; a finished one goes first, and when all run a new one is refused")
    page: int = setting(500, "Most models in one answer of the list; the next page is asked for with `continue`")
    events_max: int = setting(1000, "Most events of a model in one answer; older ones are left out, and it says so")
    changes_kept: int = setting(10_000, "Changes of models kept; a watch that fell further behind starts anew")
    watches_max: int = setting(200, "Most watches and followed jobs at a time; one more is refused")
    watch_max: Seconds = setting(Seconds(1800), "A watch ends after this long and is resumed by its client")
    heartbeat: Seconds = setting(Seconds(15), "A quiet stream sends a comment, and asks anew for its right, this often")
    resume: bool = setting(True, "Go on with the operations of a process that died, as their callers")
    namespace: str = setting("", "Where unfinished jobs are noted down; empty: the pod's or context's own namespace")
    resume_every: Seconds = setting(Seconds(5), "Time between two looks for operations that were left undone")
    resume_at_once: int = setting(8, "Most operations gone on with at a time")
    resume_backoff_max: Seconds = setting(Seconds(300), "Longest wait before such an operation is tried again")
    shutdown_timeout: Seconds = setting(Seconds(10), "Longest wait for open requests when the server stops")
