"""Every setting of `milepost dubbo`, in groups; see `milepost.settings` for how they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from milepost.settings import SettingsError, setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class DubboSettings:
    """The port that callers connect to, and what one process holds at most."""

    services: str = setting("", "The services file (YAML): which interfaces are served, and by which models.")
    host: str = setting("127.0.0.1", "The address to listen on; Dubbo knows no authentication, so loopback.")
    port: int = setting(20880, "The port to listen on; 0 takes a free one.")
    token_file: str = setting("", "The file with the token that callers must attach; empty: none is asked for.")
    payload_max: Bytes = setting(Bytes(8 << 20), "The largest body of a request or an answer, as Dubbo's `payload`.")
    values_max: int = setting(1_000_000, "The most values in one request: numbers, texts, list elements, fields.")
    connections_max: int = setting(1000, "Connections at once; further ones are closed.")
    in_flight_max: int = setting(1000, "Requests under way at once; further ones are answered EXHAUSTED.")
    in_flight_connection_max: int = setting(200, "Requests under way for one connection.")
    in_flight_bytes_max: Bytes = setting(Bytes(64 << 20), "Bytes of the requests under way together.")
    receive_timeout: Seconds = setting(Seconds(30), "How long the rest of a request may take to arrive.")
    write_buffer_max: Bytes = setting(
        Bytes(32 << 20), "Answers that wait for one slow caller; with more it is cut off."
    )
    heartbeat: Seconds = setting(
        Seconds(60), "After this much silence a sign of life is asked for; after three times as much it is the end."
    )
    stop_notice: Seconds = setting(Seconds(3), "How long a stop goes on serving while callers learn of it.")
    stop_timeout: Seconds = setting(Seconds(20), "How long a stop waits for what is under way.")
    log_level: str = setting("info", "Least severity that is logged.", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The requests to models."""

    timeout: Seconds = setting(Seconds(5), "The longest that a model may take; callers and methods may ask for less.")
    connections_max: int = setting(200, "Connections to models at once; further requests wait.")
    answer_max: Bytes = setting(Bytes(16 << 20), "The largest answer of a model.")
    body_max: Bytes = setting(Bytes(32 << 20), "The largest JSON that arguments may become.")
    ca_file: str = setting("", "The PEM file of the CA that signed https addresses; empty for the system's.")


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where callers find this provider."""

    zookeeper: str = setting("", "Addresses of ZooKeeper, host:port separated by commas; empty: callers know ours.")
    root: str = setting("dubbo", "The folder of the registry in ZooKeeper, Dubbo's `group` of a registry.")
    application: str = setting("milepost-dubbo", "The name of this application in the registry.")
    address: str = setting("", "The host that callers are told; empty: the one that reaches ZooKeeper.")
    port: int = setting(0, "The port that callers are told; 0: the one listened on.")
    auth_file: str = setting("", "The file with user:password for ZooKeeper (scheme digest); empty: none.")
    session_timeout: Seconds = setting(Seconds(30), "When ZooKeeper forgets a provider that it does not hear of.")
    check_interval: Seconds = setting(Seconds(30), "How often it is checked that the entries are still there.")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The side port: health and metrics."""

    host: str = setting("127.0.0.1", "The address of /healthz, /readyz and /metrics.")
    port: int = setting(9660, "The port of /healthz, /readyz and /metrics; 0 takes a free one.")


GROUPS: Mapping[str, type] = {
    "dubbo": DubboSettings,
    "model": ModelSettings,
    "registry": RegistrySettings,
    "http": HttpSettings,
}


def secret_of(name: str, file: str) -> str:
    """Return the text of the file that the setting `name` names. Raises SettingsError."""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{name} {file!r} cannot be read: {error}") from error
