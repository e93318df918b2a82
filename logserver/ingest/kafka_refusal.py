"""Whether the brokers refuse us: a wrong password looks to the client as a broker that is down, and only its log tells.

So when it cannot connect, one more connection is made to each broker, and what that fails with is looked at. Both are
tried again, since credentials may be changed on either side, but only one of them wants somebody to act.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping

import aiokafka
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from logserver.errors import Fatal
from logserver.ingest.kafka_options import credentials
from logserver.settings import KafkaSettings

# How long a broker may take to let us in.
CONNECT_S = 10.0

# Of https://kafka.apache.org/protocol#protocol_error_codes: a mechanism the broker does not know, a listener that wants
# no SASL, a wrong user or password.
_REFUSAL_CODES = frozenset({33, 34, 58})
_CREDENTIALS = ("security", "sasl_mechanism", "username")
_TLS = ("security", "ca_file", "cert_file", "key_file")
# The broker went away in the middle of a handshake.
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


async def why_refused(consumer: aiokafka.AIOKafkaConsumer, settings: KafkaSettings) -> str:
    """Return why the brokers do not let a consumer in, by the files as they are now; empty when they do or are silent.

    From now on the consumer connects with what the files say.
    """
    if settings.security == "PLAINTEXT":
        return ""
    try:
        options = credentials(settings)
    except Fatal as error:  # a file in the middle of its change
        return str(error)
    client = consumer._client
    # It connects again by itself with what it was made with. (Private: see `recordbatches` for its version.)
    for name, value in options.items():
        setattr(client, f"_{name}", value)
    addresses = [(host, port) for host, port, _ in client.hosts]
    return await find_refusal(settings, addresses, lambda host, port: _error_of(host, port, options))


async def find_refusal(
    settings: KafkaSettings,
    addresses: list[tuple[str, int]],
    error_of: Callable[[str, int], Awaitable[Exception | None]],
) -> str:
    """Return what the first broker that refuses us says, else an empty text; `error_of` connects to one."""
    errors = await asyncio.gather(*(error_of(host, port) for host, port in addresses))
    return next(filter(None, (refusal(error, settings) for error in errors if error)), "")


def refusal(error: BaseException, settings: KafkaSettings) -> str:
    """Return which settings the brokers refuse, by the error of a connection; empty when it means something else."""
    brokers = f"the brokers at {', '.join(settings.brokers)}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _BROKEN_OFF):
            return f"TLS with {brokers} fails ({_named(settings, _TLS)}): {cause}"
        # An OSError has numbers of its own.
        if not isinstance(cause, OSError) and getattr(cause, "errno", None) in _REFUSAL_CODES:
            return (
                f"{brokers} refuse our credentials ({_named(settings, _CREDENTIALS)}, {_password(settings)}): {cause}"
            )
    return ""


async def silence(settings: KafkaSettings) -> str:
    """Say what is known of brokers that neither serve nor refuse: a listener of another protocol hangs up, or waits."""
    for host, port, _ in collect_hosts(list(settings.brokers)):
        if await _accepts(host, port):
            return (
                f"{host}:{port} accepts connections and does not serve us: it hangs, or its listener is not of "
                f"kafka.security={settings.security}"
            )
    return f"no Kafka at {', '.join(settings.brokers)}"


async def _accepts(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _error_of(host: str, port: int, options: Mapping[str, object]) -> Exception | None:
    """Connect once, as the client does; return what it fails with."""
    try:
        async with asyncio.timeout(CONNECT_S):
            connection = await create_conn(host, port, **options)
    except (OSError, KafkaError, ValueError) as error:  # ValueError: a broker that does not know the password itself
        return error
    connection.close()
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _named(settings: KafkaSettings, names: tuple[str, ...]) -> str:
    return ", ".join(f"kafka.{name}={getattr(settings, name)}" for name in names)


def _password(settings: KafkaSettings) -> str:
    return f"kafka.password_file={settings.password_file}" if settings.password_file else "kafka.password"
