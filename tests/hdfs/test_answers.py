"""What HDFS says, sorted by who can help; and how long it is asked again."""

from __future__ import annotations

import json

import pytest

from deploy.hdfs.answers import Summary, error_of, read_listing
from deploy.hdfs.errors import FetchError, Refused, Unreachable
from deploy.hdfs.patience import DELAY_MAX_S, Patience
from deploy.hdfs.tree import DEPTH_MAX, Folder, check_size, entries_of


def remote(exception: str, message: str) -> bytes:
    return json.dumps({"RemoteException": {"exception": exception, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (
            404,
            remote("FileNotFoundException", "File /m does not exist."),
            Refused,
            "HDFS has no /m (nn:1: File /m does",
        ),
        (
            403,
            remote("AccessControlException", "Permission denied: user=eve"),
            Refused,
            "does not let this user read /m",
        ),
        (403, remote("SecurityException", "token expired"), Refused, "(nn:1: token expired)"),
        (
            401,
            b"<html>Authentication required</html>",
            Refused,
            "does not know who asks for /m (nn:1: HTTP 401: <html>",
        ),
        (400, remote("IllegalArgumentException", 'Invalid value for "op"'), Refused, "HDFS refuses /m"),
        (403, remote("StandbyException", "Operation category READ"), Unreachable, "HDFS does not serve /m"),
        (403, remote("IOException", "No active nodes contain this block"), Unreachable, "No active nodes"),
        (500, remote("NullPointerException", ""), Unreachable, "(nn:1: NullPointerException)"),
        (503, b"", Unreachable, "(nn:1: HTTP 503)"),
        (404, remote("FileNotFoundException", "Path is not a file: /m\n\tat org.apache…"), Refused, "not a file: /m)"),
        (500, b"x" * 10_000, Unreachable, "HTTP 500: xxx"),
    ],
)
def test_an_error_says_whether_trying_again_may_help(
    status: int, body: bytes, kind: type[FetchError], said: str
) -> None:
    error = error_of(status, body, path="/m", server="nn:1")
    assert type(error) is kind
    assert said in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"FileStatuses":{"FileStatus":[{"pathSuffix":3}]}}', b"\xff"])
def test_what_is_no_listing_may_be_one_later(body: bytes) -> None:
    with pytest.raises(Unreachable, match="no answer of WebHDFS"):
        read_listing(body)


def test_links_and_bottomless_folders_are_refused() -> None:
    [link] = read_listing(
        b'{"FileStatuses":{"FileStatus":[{"pathSuffix":"l","type":"SYMLINK","length":0,"modificationTime":1}]}}'
    )
    with pytest.raises(Refused, match="/m/l is a SYMLINK"):
        entries_of(Folder("/m"), [link])
    [folder] = read_listing(
        b'{"FileStatuses":{"FileStatus":[{"pathSuffix":"f","type":"DIRECTORY","length":0,"modificationTime":1}]}}'
    )
    assert entries_of(Folder("/m"), [folder]) == ([], [Folder("/m/f", "f/", 1)])
    with pytest.raises(Refused, match=f"more than {DEPTH_MAX} folders deep"):
        entries_of(Folder("/m", "", DEPTH_MAX), [folder])


def test_the_size_is_held_against_the_nearer_limit() -> None:
    model = Summary(file_count=3, directory_count=1, length=100)
    check_size(model, "m", files_max=3, bytes_max=0, free=100)
    check_size(model, "m", files_max=3, bytes_max=100, free=100)
    for files_max, bytes_max, free, said in ((2, 0, 100, "files-max"), (3, 99, 100, "bytes-max"), (3, 0, 99, "disk")):
        with pytest.raises(Refused, match=said):
            check_size(model, "m", files_max=files_max, bytes_max=bytes_max, free=free)


def test_patience_counts_from_the_last_progress() -> None:
    now = 0.0
    patience = Patience(30, lambda: now)
    delays = [patience.pause_after(Unreachable("x")) for _ in range(8)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.25, DELAY_MAX_S)
    now = 29.0
    assert patience.pause_after(Unreachable("x")) == 1.0, "the last try is made when it ends"
    patience.progressed()
    now = 58.0
    patience.pause_after(Unreachable("x"))
    now = 59.0
    with pytest.raises(Unreachable, match=r"gone; nothing arrived for 30 s \(--hdfs-patience\)"):
        patience.pause_after(Unreachable("gone"))
