"""From the address of a model to the servers that are asked for it: pure.

`hdfs://AUTHORITY/PATH` names a nameservice or a namenode by its RPC port; WebHDFS is on another port, and a nameservice
is no host at all. So the authority is first looked up among the configured addresses; what is not there is a host.
`webhdfs://HOST:PORT/PATH` and `swebhdfs://…` (TLS) name the HTTP server itself. As in Hadoop, the path is taken as it
is: nothing in it is decoded, `?` and `#` included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.hdfs.errors import Refused
from deploy.hdfs.settings import Hdfs

_URI = re.compile(r"(?P<scheme>hdfs|webhdfs|swebhdfs)://(?P<authority>[^/\s]*)(?P<path>/.*)?", re.DOTALL)
_SERVER = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@]+)(?::(?P<port>\d{1,5}))?(?P<prefix>/[^\s?#]*)?")  # fmt: skip # noqa: E501


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder of HDFS: its absolute path, and the base URLs of the servers to ask, the first one first."""

    uri: str
    path: str
    servers: tuple[str, ...]


def source_of(uri: str, settings: Hdfs) -> Source:
    """Return what an address names; raises Refused."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise Refused(
            f"{uri!r} is no address of HDFS; write hdfs://NAMESERVICE/PATH, webhdfs:// or swebhdfs://HOST:PORT/PATH"
        )
    parts = [part for part in (match["path"] or "").split("/") if part]
    if not parts:
        raise Refused(f"{uri!r} names no file or folder: the whole file system is no model")
    if {".", ".."} & set(parts) or any("\0" in part for part in parts):
        raise Refused(f"{uri!r}: a path must not have `.` or `..` in it")
    return Source(uri, "/" + "/".join(parts), _servers(uri, match["scheme"], match["authority"], settings))


def _servers(uri: str, scheme: str, authority: str, settings: Hdfs) -> tuple[str, ...]:
    if scheme != "hdfs":
        return (_base_url(authority, "https" if scheme == "swebhdfs" else "http", settings.http_port, uri),)
    named = [entry.rpartition("=")[::2] for entry in settings.namenodes]
    for name in (authority, authority.partition(":")[0], ""):
        addresses = [address for other, address in named if other == name]
        if addresses:
            return tuple(_base_url(address, "http", settings.http_port, "--hdfs-namenodes") for address in addresses)
    if not authority:
        raise Refused(f"{uri!r} names no nameservice, and --hdfs-namenodes no default one")
    # The port, where there is one, is that of the RPC protocol, which is not spoken here.
    return (_base_url(authority.partition(":")[0], "http", settings.http_port, uri),)


def _base_url(address: str, scheme: str, port: int, where: str) -> str:
    match = _SERVER.fullmatch(address)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise Refused(f"{where}: {address!r} is no address of a server; write HOST:PORT or http(s)://HOST:PORT")
    scheme = match["scheme"] or scheme
    return f"{scheme}://{match['host']}:{match['port'] or port}{(match['prefix'] or '').rstrip('/')}"
