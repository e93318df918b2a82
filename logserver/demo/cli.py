"""`milepost demo`: the whole log path on this machine, with a fleet of models that print.

Starts a broker (or uses `--kafka`), the log-server as its own process on the embedded store, and the generator; says
where to look and a few commands to try; stops all three in the reverse order. The broker forgets everything when it
ends, so each run has a topic of its own and the lines of earlier runs stay in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click

from logserver.demo.broker import BrokerFailedError, EmbeddedBroker, embedded_broker
from logserver.demo.fleet import FLEET, containers, utc_now
from logserver.demo.generator import Progress, create_topic, generate
from milepost.units import parse_size

PARTITIONS = 4
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
PROGRESS_SECONDS = 10.0
SESSION_TIMEOUT = "6s"
"""The least that Kafka allows: the embedded broker lets the first member of a group wait for half of it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was asked for."""

    kafka: str | None
    data: Path
    host: str
    port: int
    rate: float
    broker_memory_max: int
    seed: int


@click.command()
@click.option("--kafka", metavar="HOST:PORT", help="Use this broker instead of the embedded one.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="The store.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the log-server.")
@click.option("--port", default=8080, show_default=True, help="Port of the log-server.")
@click.option("--rate", default=1.0, show_default=True, help="Pace of the fleet; 1 is about 200 lines a second.")
@click.option("--broker-memory", default="1GiB", show_default=True, help="The generator pauses when the broker has it.")
@click.option("--seed", default=1, show_default=True, help="The same seed prints the same words.")
def demo(*, kafka: str | None, data: Path, host: str, port: int, rate: float, broker_memory: str, seed: int) -> None:
    """Run a broker, the log-server and a fleet of models that print believable logs."""
    try:
        limit = parse_size(broker_memory)
        asyncio.run(_run(Options(kafka, data, host, port, rate, limit, seed)))
    except (BrokerFailedError, LogServerFailedError, ValueError) as error:
        raise click.ClickException(str(error)) from error


class LogServerFailedError(RuntimeError):
    """The log-server ended or was not ready in time."""


async def _run(options: Options) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        broker = None
        if options.kafka is None:
            _say("starting the embedded broker")
            broker = await stack.enter_async_context(embedded_broker())
        bootstrap = options.kafka or broker.bootstrap  # type: ignore[union-attr]
        topic = f"model-logs-{utc_now():%Y%m%dT%H%M%S}"
        await create_topic(bootstrap, topic, PARTITIONS)
        _say(f"broker {bootstrap}, topic {topic} with {PARTITIONS} partitions")
        server = await stack.enter_async_context(_log_server(options, bootstrap, topic))
        click.echo(_welcome(options))
        await _until_stopped(options, bootstrap, topic, broker=broker, server=server, stopping=stopping)


async def _until_stopped(
    options: Options,
    bootstrap: str,
    topic: str,
    *,
    broker: EmbeddedBroker | None,
    server: asyncio.subprocess.Process,
    stopping: asyncio.Event,
) -> None:
    rng = random.Random(options.seed)  # noqa: S311 - words of a demonstration
    progress = Progress()
    tasks = {
        asyncio.create_task(
            generate(
                bootstrap,
                topic,
                containers(FLEET, rng),
                rng=rng,
                rate=options.rate,
                progress=progress,
                is_full=lambda: broker is not None and broker.resident_bytes() > options.broker_memory_max,
            ),
            name="generator",
        ),
        asyncio.create_task(_report(progress), name="report"),
        asyncio.create_task(server.wait(), name="log-server"),
        asyncio.create_task(stopping.wait(), name="signal"),
    }
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()
    if not stopping.is_set():
        raise LogServerFailedError(f"the log-server ended with exit code {server.returncode}; its words are above")


@contextlib.asynccontextmanager
async def _log_server(options: Options, bootstrap: str, topic: str) -> AsyncIterator[asyncio.subprocess.Process]:
    _say(f"starting the log-server on the embedded store in {options.data}/")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "milepost.cli", "logserver",
        "--kafka-brokers", bootstrap, "--kafka-topics", topic, "--store-path", str(options.data),
        "--http-host", options.host, "--http-port", str(options.port), "--kafka-session-timeout", SESSION_TIMEOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        await _until_ready(_url(options), process)
        yield process
    finally:
        if process.returncode is None:
            _say("stopping the log-server")
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise LogServerFailedError(f"the log-server ended with exit code {process.returncode}")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.2)
    raise LogServerFailedError(f"the log-server was not ready within {READY_SECONDS_MAX:g} s")


async def _report(progress: Progress) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        paused = ", paused: the broker's memory is full (--broker-memory)" if progress.paused else ""
        _say(f"{progress.documents:,} documents sent{paused}")


def _welcome(options: Options) -> str:
    url = _url(options)
    server = f" --server {url}" if options.port != 8080 else ""
    return f"""
Milepost is ready; models are printing.

  web UI      {url}/ui/
  API         {url}/docs
  metrics     {url}/metrics

Try, in another terminal:

  .venv/bin/milepost logs{server} -n risk --model iris-classifier -f
  .venv/bin/milepost logs{server} --grep Traceback --since 5m --context 3
  curl -s '{url}/api/v1/logs?model=ranker&level=error&since=10m&format=text&timestamps=true'
  curl -sN '{url}/api/v1/logs/tail?namespace=vision&format=text&prefix=pod'

Ctrl-C stops everything; the lines stay in {options.data}/.
"""


def _url(options: Options) -> str:
    return f"http://{options.host}:{options.port}"


def _say(words: str) -> None:
    click.echo(f"==> {words}", err=True)
