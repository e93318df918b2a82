"""The consumer's options, from the settings: who we are to the brokers, how we prove it, how much they hand over."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from logserver.errors import Fatal
from logserver.settings import KafkaSettings

REQUEST_TIMEOUT_MS = 40_000


def consumer_options(settings: KafkaSettings) -> dict[str, object]:
    """Return the options; raises Fatal for a file that cannot be used."""
    session_ms = int(settings.session_timeout * 1000)
    return {
        "bootstrap_servers": list(settings.brokers),
        "group_id": settings.group,
        "client_id": settings.client_id or f"{socket.gethostname()}-{os.getpid()}",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": max(1000, session_ms // 10),
        "max_poll_interval_ms": 300_000,
        "rebalance_timeout_ms": max(60_000, session_ms),
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "max_partition_fetch_bytes": settings.fetch_bytes_max,
        "fetch_max_bytes": settings.fetch_bytes_max * 4,
        "fetch_max_wait_ms": 100,
        "metadata_max_age_ms": 30_000,
        **credentials(settings),
    }


def credentials(settings: KafkaSettings) -> dict[str, object]:
    """Return how we prove who we are, by the files as they are now; raises Fatal for what cannot be used."""
    password = _password(settings)
    if "SASL" in settings.security and not (settings.username and password):
        raise Fatal(
            f"kafka.security={settings.security} needs kafka.username and kafka.password or kafka.password_file, which "
            "may not be empty"
        )
    return {
        "security_protocol": settings.security,
        "ssl_context": _ssl_context(settings) if "SSL" in settings.security.split("_") else None,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.username or None,
        "sasl_plain_password": password or None,
    }


def _password(settings: KafkaSettings) -> str:
    if not settings.password_file:
        return settings.password
    try:
        return Path(settings.password_file).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise Fatal(f"kafka.password_file cannot be read: {error}") from error


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
    except OSError as error:  # also ssl.SSLError
        names = f"kafka.ca_file={settings.ca_file}, kafka.cert_file={settings.cert_file}, kafka.key_file"
        raise Fatal(f"a TLS file cannot be used ({names}={settings.key_file}): {error}") from error
    return context
