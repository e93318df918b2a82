"""The answers of WebHDFS: pure. Source: Hadoop's WebHDFS.md, and what a namenode of 3.4.1 sends.

An error is `{"RemoteException": {"exception", "javaClassName", "message"}}`; the message may carry a Java stack trace,
of which the first line is for people. 403 is both "permission denied" and "this namenode is the standby".
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from deploy.hdfs.errors import FetchError, Refused, Unreachable

_Answer = TypeVar("_Answer")

PASSING = frozenset(
    {"StandbyException", "RetriableException", "SafeModeException", "ObserverRetryOnActiveException", "IOException"}
)
"""What a namenode says that cannot serve now, with whatever status (403 for "No active nodes contain this block")."""
_FINAL_STATUSES = frozenset({400, 401, 403, 404, 405})
_SHOWN_MAX = 300


class FileStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of a folder; `path_suffix` is its name, empty when the folder asked for is a file."""

    path_suffix: str
    type: str
    length: int
    modification_time: int
    block_size: int = 0


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """What is below a path, all levels counted."""

    file_count: int
    directory_count: int
    length: int


class FileChecksum(msgspec.Struct, frozen=True):
    """`algorithm` says how it was made; what is written in hexadecimal may be longer than `length` bytes."""

    algorithm: str
    length: int
    hexadecimal: str = msgspec.field(name="bytes")

    @property
    def value(self) -> bytes:
        """The checksum, empty when it is not hexadecimal."""
        try:
            return bytes.fromhex(self.hexadecimal)[: self.length]
        except ValueError:
            return b""


class _Listing(msgspec.Struct, frozen=True):
    entries: list[FileStatus] = msgspec.field(name="FileStatus")


class _ListingAnswer(msgspec.Struct, frozen=True):
    listing: _Listing = msgspec.field(name="FileStatuses")


class _SummaryAnswer(msgspec.Struct, frozen=True):
    summary: Summary = msgspec.field(name="ContentSummary")


class _ChecksumAnswer(msgspec.Struct, frozen=True):
    checksum: FileChecksum | None = msgspec.field(name="FileChecksum")


class _RemoteException(msgspec.Struct, frozen=True):
    exception: str = ""
    message: str = ""


class _ErrorAnswer(msgspec.Struct, frozen=True):
    remote: _RemoteException = msgspec.field(name="RemoteException")


def read_listing(body: bytes) -> list[FileStatus]:
    """Return the entries of a folder; raises Unreachable when it is no such answer."""
    return _decode(body, _ListingAnswer).listing.entries


def read_summary(body: bytes) -> Summary:
    """Return what is below a path; raises Unreachable when it is no such answer."""
    return _decode(body, _SummaryAnswer).summary


def read_checksum(body: bytes) -> FileChecksum | None:
    """Return a file's checksum, None when the cluster keeps none; raises Unreachable when it is no such answer."""
    return _decode(body, _ChecksumAnswer).checksum


def error_of(status: int, body: bytes, *, path: str, server: str) -> FetchError:
    """Return what an answer other than 200 says: Refused where only a person can help."""
    try:
        remote = msgspec.json.decode(body, type=_ErrorAnswer).remote
    except msgspec.DecodeError:
        text = " ".join(body.decode(errors="replace").split())
        remote = _RemoteException(message=f"HTTP {status}{': ' if text else ''}{text}")
    said = (remote.message.splitlines() or [remote.exception])[0][:_SHOWN_MAX]
    if status not in _FINAL_STATUSES or remote.exception in PASSING:
        return Unreachable(f"HDFS does not serve {path} ({server}: {said})")
    return Refused(f"{_HEADLINES.get(status, 'HDFS refuses')} {path} ({server}: {said})")


_HEADLINES = {401: "HDFS does not know who asks for", 403: "HDFS does not let this user read", 404: "HDFS has no"}


def _decode(body: bytes, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Unreachable(f"this is no answer of WebHDFS: {body[:80]!r} ({error})") from error
