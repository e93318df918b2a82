"""Whether the brokers refuse us: a wrong password looks to the client as a broker that is down, and only its log tells.

So when it cannot connect, one more connection is made to each broker, and what that fails with is looked at. Both are
tried again, since credentials may be changed on either side, but only one of them wants somebody to act.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator

from logserver.settings import KafkaSettings

# Of https://kafka.apache.org/protocol#protocol_error_codes: a mechanism the broker does not know, a listener that wants
# no SASL, a wrong user or password.
_REFUSAL_CODES = frozenset({33, 34, 58})
_CREDENTIALS = ("security", "sasl_mechanism", "username")
_TLS = ("security", "ca_file", "cert_file", "key_file")
# The broker went away in the middle of a handshake.
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


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


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _named(settings: KafkaSettings, names: tuple[str, ...]) -> str:
    return ", ".join(f"kafka.{name}={getattr(settings, name)}" for name in names)


def _password(settings: KafkaSettings) -> str:
    return f"kafka.password_file={settings.password_file}" if settings.password_file else "kafka.password"
