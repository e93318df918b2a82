"""The settings of the log-server: one frozen group per topic; names of flags and variables follow from the fields.

Every queue, batch and wait of the write side has its bound here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milepost.settings import setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where documents come from."""

    brokers: tuple[str, ...] = setting(("127.0.0.1:9092",), "Kafka bootstrap addresses, separated by commas.")
    topics: tuple[str, ...] = setting(("logs",), "Topics of Filebeat documents, separated by commas.")
    group: str = setting("milepost-logserver", "The consumer group; replicas that share a store share it.")
    client_id: str = setting("", "The client id brokers see; empty for the host's name and process id.")
    security: str = setting(
        "PLAINTEXT",
        "How to talk to the brokers.",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    )
    sasl_mechanism: str = setting("PLAIN", "The SASL mechanism.", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    username: str = setting("", "The SASL user.")
    password: str = setting("", "The SASL password.", secret=True)
    password_file: str = setting("", "The file the SASL password is read from, as a mounted Secret is.")
    ca_file: str = setting("", "The PEM file of the CA that signed the brokers' certificates; empty for the system's.")
    cert_file: str = setting("", "The PEM file of the client's certificate, for brokers that ask for one.")
    key_file: str = setting("", "The PEM file of the client certificate's key.")
    out_of_range: str = setting(
        "earliest",
        "What to do when the stored position is no longer in the topic (counted in offset_resets_total).",
        choices=("earliest", "latest", "stop"),
    )
    start_from: str = setting(
        "earliest", "Where a partition that was never read starts.", choices=("earliest", "latest")
    )
    session_timeout: Seconds = setting(Seconds(30), "How long the group waits for a silent replica.")
    fetch_bytes_max: Bytes = setting(Bytes(2**20), "Bytes one partition hands over in one fetch at most.")
    commit_interval: Seconds = setting(
        Seconds(5), "How often positions are committed to Kafka; only lag tools read them."
    )


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Batches, bad documents and retries."""

    batch_rows_max: int = setting(40_000, "A batch is stored when it has this many documents,")
    batch_bytes_max: Bytes = setting(Bytes(64 * 2**20), "or this many bytes,")
    batch_age_max: Seconds = setting(Seconds(0.25), "or when its first document has waited this long.")
    batches_in_flight_max: int = setting(2, "Batches in memory at once; beyond it partitions are paused.")
    document_bytes_max: Bytes = setting(Bytes(4 * 2**20), "Larger documents are rejected as too_big.")
    reject_ratio: float = setting(
        0.5, "Consumption stops loudly when more than this part of a window of documents is bad; 1 never stops."
    )
    reject_window: int = setting(10_000, "Documents the reject ratio is measured over.")
    reject_bytes_max: Bytes = setting(Bytes(256 * 2**10), "A rejected document keeps its first bytes up to this.")
    retry_backoff_max: Seconds = setting(Seconds(10), "The longest pause between two tries to store a batch.")
    files_max: int = setting(200_000, "Files whose high-water marks are kept in memory.")
    recent_lines_max: int = setting(1_000_000, "Identities of lines kept in memory to recognise repeats.")
    nodes_max: int = setting(5000, "Nodes of which the metrics show when they were last heard of.")
    node_silence_max: Seconds = setting(Seconds(86_400), "A node silent for this long leaves the metrics.")
    drain_timeout: Seconds = setting(Seconds(20), "How long a rebalance or a stop waits for batches in flight.")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where lines are kept."""

    path: Path = setting(Path("data"), "The directory of the embedded engine.")
    url: str = setting("", "A ClickHouse server instead: clickhouse://user@host:9000/database, clickhouses:// for TLS.")
    password: str = setting("", "The password for the server.", secret=True)
    ca_file: str = setting("", "The PEM file of the CA that signed the server's certificate; empty for the system's.")
    cluster: str = setting("", "The cluster's name: tables are made ON CLUSTER.")
    replicated: bool = setting(False, "Make Replicated… tables.")
    connections: int = setting(8, "Queries that run in the store at once.")
    memory_bytes_max: Bytes = setting(Bytes(2 * 2**30), "Memory of the embedded engine; 0 for no bound.")
    timeout: Seconds = setting(Seconds(30), "How long a statement of a server may take to answer.")


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """When lines go: whole days at a time."""

    days: int = setting(7, "Days a line is kept.")
    namespaces: tuple[str, ...] = setting(
        (), "Days for single namespaces, as namespace=days, separated by commas; read when a line is stored."
    )
    disk_bytes_max: Bytes = setting(Bytes(0), "Bytes on disk: above it the oldest days go first; 0 for no bound.")
    interval: Seconds = setting(Seconds(60), "How often retention is checked.")
