"""A real Apache Kafka broker: one node in KRaft mode, from its own jars in Maven Central.

The jars are those of org.apache.kafka:kafka_2.13 and kafka-tools with all they need, copied by Maven. The broker keeps
its port and its data over stop, kill and restart, as a broker of a cluster does.
"""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.parts.install import install, run
from tests.parts.maven import jars
from tests.parts.pki import Pki
from tests.parts.ports import free_port
from tests.parts.process import Process

VERSION = "4.1.0"
START_S = 90.0

PART = jars(
    "kafka",
    VERSION,
    (
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        f"org.apache.kafka:kafka-tools:{VERSION}",
        "org.slf4j:slf4j-simple:1.7.36",
    ),
    told="about 90 jars (54 MB)",
)


@dataclass(frozen=True, slots=True)
class Secured:
    """A second listener that speaks TLS, wants a certificate of the CA and one of these users (name -> password).

    Users may come by PLAIN and by SCRAM-SHA-512.
    """

    pki: Pki
    users: Mapping[str, str]

    def properties(self, folder: Path) -> dict[str, str]:
        """Return the listener's lines of server.properties; writes its key into the folder."""
        certificate, key = self.pki.server_certificate()
        both = folder / "broker.pem"
        both.write_text(key.read_text() + certificate.read_text())
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        listener, modules = "listener.name.secured", "org.apache.kafka.common.security"
        return {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{listener}.plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required {users};",
            f"{listener}.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            f"{listener}.ssl.keystore.type": "PEM",
            f"{listener}.ssl.keystore.location": str(both),
            f"{listener}.ssl.truststore.type": "PEM",
            f"{listener}.ssl.truststore.location": str(self.pki.folder / "ca.crt"),
            f"{listener}.ssl.client.auth": "required",
        }

    def format_arguments(self) -> list[str]:
        """Return the arguments that give the users to the storage when it is formatted."""
        pairs = self.users.items()
        return [f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]" for name, password in pairs]


class KafkaBroker:
    """One broker with its data in `folder`; `overrides` are lines of server.properties.

    `secured` adds a listener at `secured_port`. `proxied_port` adds one at `behind_proxy_port` whose clients are told
    to connect to `proxied_port`, where a proxy is to forward them.
    """

    def __init__(
        self,
        folder: Path,
        overrides: Mapping[str, str] | None = None,
        *,
        secured: Secured | None = None,
        proxied_port: int = 0,
    ) -> None:
        self._folder = folder
        self._secured = secured
        self.proxied_port = proxied_port
        self.behind_proxy_port = free_port() if proxied_port else 0
        self._libs = install(PART) / "libs"
        self.port = free_port()
        self.secured_port = free_port() if secured else 0
        self._properties = folder / "server.properties"
        self._write_properties(overrides or {})
        self.process = Process(self._java("kafka.Kafka", "-Xmx512m", str(self._properties)), log=folder / "kafka.log")

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> KafkaBroker:
        """Start the broker and wait until it serves; formats its storage the first time."""
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        self.process.start()
        self.process.wait_line(r"Kafka Server started", START_S)
        self.process.wait_port(self.port)
        return self

    def stop(self) -> None:
        """Shut the broker down in order."""
        self.process.stop(30)

    def kill(self) -> None:
        """Kill it: nothing is flushed."""
        self.process.kill()

    def restart(self) -> None:
        """Stop it, when it runs, and start it again with the same data on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.process.resume()

    async def create_topic(
        self, name: str, *, partitions: int = 1, configs: Mapping[str, str] | None = None, timeout_s: float = 30
    ) -> str:
        """Create a topic and return its name; raises KafkaError, also when it exists."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=int(timeout_s * 1000))
        await admin.start()
        try:
            topic = NewTopic(name, partitions, 1, topic_configs=dict(configs or {}))
            answer = await admin.create_topics([topic], timeout_ms=int(timeout_s * 1000))
        finally:
            await admin.close()
        code, message = answer.topic_errors[0][1], answer.topic_errors[0][2]
        if code != 0:
            raise RuntimeError(f"topic {name}: Kafka's error {code}: {message}")
        return name

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One argument: an id may begin with "-", and as an argument of its own it would be read as an option.
        arguments = ("format", "--config", str(self._properties), f"--cluster-id={cluster}", "--ignore-formatted")
        users = self._secured.format_arguments() if self._secured else ()
        run(self._java("kafka.tools.StorageTool", "-Xmx256m", *arguments, *users))

    def _java(self, main: str, heap: str, *arguments: str) -> list[str]:
        return [
            "java",
            heap,
            # Quick to start, and quick enough for tests.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-cp",
            f"{self._libs}/*",
            main,
            *arguments,
        ]

    def _write_properties(self, overrides: Mapping[str, str]) -> None:
        controller_port = free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        listeners, advertised = [f"PLAINTEXT://127.0.0.1:{self.port}"], [f"PLAINTEXT://127.0.0.1:{self.port}"]
        if self._secured:
            listeners.append(f"SECURED://127.0.0.1:{self.secured_port}")
            advertised.append(f"SECURED://127.0.0.1:{self.secured_port}")
            overrides = {**self._secured.properties(self._folder), **overrides}
        if self.proxied_port:
            listeners.append(f"PROXIED://127.0.0.1:{self.behind_proxy_port}")
            advertised.append(f"PROXIED://127.0.0.1:{self.proxied_port}")
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller_port}"]),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_SSL"
            ),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            **overrides,
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
