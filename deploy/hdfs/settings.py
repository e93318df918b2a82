"""The settings of the initializer. In a pod they come as environment variables of the spec's `storage.secret`."""

from __future__ import annotations

from dataclasses import dataclass

from milepost.settings import setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class Hdfs:
    """How HDFS is reached and what may be taken from it."""

    namenodes: tuple[str, ...] = setting(
        (),
        "WebHDFS addresses: `models=nn1:9870,models=nn2:9870` for `hdfs://models/…`, `http(s)://host:port[/prefix]` "
        "too; without a name: for every nameservice that is not named.",
    )
    http_port: int = setting(9870, "Port of a namenode that only the address names (Hadoop 2: 50070).")
    user: str = setting("", "User of clusters without Kerberos (`user.name`); empty: the cluster's anonymous user.")
    token: str = setting("", "Delegation token, for clusters with Kerberos.", secret=True)
    headers: str = setting(
        "", 'JSON object of headers for a gateway (HttpFS, Knox), `{"Authorization": "…"}`.', secret=True
    )
    ca: str = setting("", "CA certificates for TLS: PEM text, or the path of a file. Empty: those of the system.")
    parallel: int = setting(4, "Files downloaded at the same time, 1 to 64.")
    patience: Seconds = setting(
        Seconds(120), "How long nothing may arrive before it gives up; it tries again until then."
    )
    checksum: str = setting(
        "auto",
        "Check files by HDFS's checksums: where it has one that can be recomputed, of every file or else fail, or off.",
        choices=("auto", "require", "off"),
    )
    files_max: int = setting(10_000, "Most files that a model may have.")
    bytes_max: Bytes = setting(Bytes(0), "Most bytes that a model may have; 0: what is free in the folder.")


GROUPS: dict[str, type] = {"hdfs": Hdfs}
