"""What a broker holds against us is said with the settings to look at and without the secret, and told from silence."""

from __future__ import annotations

import ssl

import pytest
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from logserver.errors import Fatal
from logserver.ingest.kafka_options import consumer_options
from logserver.ingest.kafka_refusal import find_refusal, refusal
from logserver.settings import KafkaSettings

SETTINGS = KafkaSettings(
    brokers=("a:9093", "b:9093"), security="SASL_SSL", username="reader", password="hunter2", ca_file="/etc/ca.pem"
)
BY_FILE = KafkaSettings(security="SASL_PLAINTEXT", username="reader", password_file="/etc/secret/password")
ALERT = ssl.SSLError(1, "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate")


def closed_by(cause: Exception) -> KafkaConnectionError:
    error = KafkaConnectionError("Connection at a:9093 closed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error", [SaslAuthenticationFailed("no"), UnsupportedSaslMechanismError("no"), IllegalSaslStateError("no")]
)
def test_refused_credentials_are_named_and_the_password_is_not(error: Exception) -> None:
    said = refusal(error, SETTINGS)
    assert said.startswith(
        "the brokers at a:9093, b:9093 refuse our credentials (kafka.security=SASL_SSL, kafka.sasl_mechanism=PLAIN, "
        "kafka.username=reader, kafka.password): "
    )
    assert said.endswith(f"{type(error).__name__}: no")
    assert "hunter2" not in said
    assert "kafka.username=reader, kafka.password_file=/etc/secret/password)" in refusal(error, BY_FILE)


@pytest.mark.parametrize("error", [ssl.SSLCertVerificationError("unable to get local issuer"), closed_by(ALERT)])
def test_a_failure_of_tls_names_the_files(error: Exception) -> None:
    said = refusal(error, SETTINGS)
    assert said.startswith(
        "TLS with the brokers at a:9093, b:9093 fails (kafka.security=SASL_SSL, kafka.ca_file=/etc/ca.pem, "
        "kafka.cert_file=, kafka.key_file=): "
    )
    assert said.endswith(("unable to get local issuer',)", "alert bad certificate"))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "refused"),
        OSError(58, "another 58: that of the operating system"),
        TimeoutError(),
        ssl.SSLEOFError("the broker ended in the middle of a handshake"),
        closed_by(ConnectionResetError()),
        CoordinatorNotAvailableError("later"),
    ],
)
def test_a_broker_that_is_not_there_refuses_nothing(error: Exception) -> None:
    assert refusal(error, SETTINGS) == ""


async def test_one_broker_that_refuses_is_enough() -> None:
    async def error_of(host: str, _: int) -> Exception | None:
        return {"a": TimeoutError(), "b": refused}.get(host)

    refused: Exception = SaslAuthenticationFailed("b:2")

    assert (await find_refusal(SETTINGS, [("a", 1), ("b", 2), ("c", 3)], error_of)).endswith("b:2")
    assert await find_refusal(SETTINGS, [("a", 1), ("c", 3)], error_of) == ""


@pytest.mark.parametrize("settings", [{"username": "reader"}, {"password": "x"}])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_credentials_that_are_missing_are_named(settings: dict[str, str], mechanism: str) -> None:
    wanted = KafkaSettings(security="SASL_PLAINTEXT", sasl_mechanism=mechanism, **settings)  # type: ignore[arg-type]
    with pytest.raises(Fatal, match=r"kafka.security=SASL_PLAINTEXT needs kafka.username and kafka.password"):
        consumer_options(wanted)
