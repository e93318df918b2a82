"""ZooKeeper: real callers find the gateway there, and its entries survive whatever happens to it and to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError

from deploy.dubbo.provider import Provider, entry_of, folder_of
from deploy.dubbo.servicesfile import read_services
from tests.conftest import need
from tests.dubbo.conftest import SCORER
from tests.dubbo.program import HOST, DubboProgram
from tests.dubbo.test_java import MODELS, ROWS, plain, text
from tests.dubbo.test_servicesfile import PLAIN, file
from tests.dubbo.test_wire import eventually
from tests.parts.addresses import make_local
from tests.parts.dubbo import CallFailed, DubboCaller, Reference
from tests.parts.proxy import BreakingProxy
from tests.parts.zookeeper import ZooKeeper


@pytest.fixture(scope="module")
def look(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    client = KazooClient(zookeeper.address)
    client.start(30)
    yield client
    client.stop()
    client.close()


@pytest.fixture
def root(request: pytest.FixtureRequest) -> str:
    """A folder of the registry for each test."""
    return "".join(letter for letter in request.node.name if letter.isalnum())[:60]


@contextmanager
def registered(
    folder: Path, services: str, root: str, address: str, *flags: str, ready: bool = True
) -> Iterator[DubboProgram]:
    need(make_local)
    program = DubboProgram(
        folder, services, f"--registry-zookeeper={address}", f"--registry-root={root}",
        "--registry-session-timeout=2s", "--registry-check-interval=1s", "--dubbo-stop-notice=500ms", *flags,
    )  # fmt: skip
    try:
        if ready:
            program.start()
        yield program
    finally:
        program.stop()


def entries(look: KazooClient, root: str, interface: str = MODELS) -> list[str]:
    path = f"/{root}/{interface}/providers"
    return [unquote(name) for name in look.get_children(path)] if look.exists(path) else []


def referred(caller: DubboCaller, zookeeper: ZooKeeper, root: str, retries: int = 0) -> Reference:
    return caller.refer(
        interface=MODELS, registry=f"zookeeper://{zookeeper.address}?group={root}", version="1.0.0", group="risk",
        timeout=3000, check=False, retries=retries,
    )  # fmt: skip


def answered(reference: Reference) -> bool:
    try:
        return bool(plain(reference.call("predict", text("sum"), ROWS)) == [3.5, 7.0])
    except Exception as error:
        if "No provider available" in str(error) or "Forbid" in str(error):
            return False
        raise


def test_a_caller_finds_the_gateway(
    caller: DubboCaller, zookeeper: ZooKeeper, services: str, root: str, tmp_path: Path
) -> None:
    with registered(tmp_path, services, root, zookeeper.address):
        reference = referred(caller, zookeeper, root)
        eventually(lambda: answered(reference))
        typed = caller.refer(generic=False, registry=f"zookeeper://{zookeeper.address}?group={root}", check=False)
        assert typed.call("count", {"t": "long", "v": 7})["v"] == 7
        reference.drop()
        typed.drop()


def test_what_a_model_answered_is_not_asked_for_again_and_what_reached_none_is(
    caller: DubboCaller, zookeeper: ZooKeeper, services: str, root: str, tmp_path: Path
) -> None:
    with registered(tmp_path, services, root, zookeeper.address) as program:
        stubborn = referred(caller, zookeeper, root, retries=2)
        eventually(lambda: answered(stubborn))
        for method, arguments, outcome, times in (
            ("predict", (text("broken"), ROWS), "model_failed", 1),
            ("predict", (text("no-json"), ROWS), "model_failed", 2),
            ("nowhere", (ROWS,), "unreachable", 3),
            ("brief", (ROWS,), "timeout", 3),
        ):
            with pytest.raises(CallFailed):
                stubborn.call(method, *arguments)
            assert program.metric("requests_total", interface=MODELS, method=method, outcome=outcome) == times
        stubborn.drop()


def test_the_entry_says_what_callers_must_know() -> None:
    services = read_services(file(
        PLAIN | {"timeout": "300ms"}, version="1.0.0", group="risk", timeout="2s", retries=0, weight=50
    ))  # fmt: skip
    provider = Provider("shop", "10.0.0.7", 20880, 42, 1_700_000_000_000, asks_token="t & t")
    (service,) = services.values()
    assert folder_of("/dubbo/", service) == "/dubbo/a.B/providers"
    url = urlsplit(unquote(entry_of(provider, service)))
    assert (url.scheme, url.netloc, url.path) == ("dubbo", "10.0.0.7:20880", "/a.B")
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "anyhost": "true", "application": "shop", "deprecated": "false", "dubbo": "2.0.2", "dynamic": "true",
        "generic": "false", "group": "risk", "interface": "a.B", "m.timeout": "300", "methods": "m", "pid": "42",
        "prefer-serialization": "hessian2", "retries": "0", "serialization": "hessian2", "side": "provider",
        "timeout": "2000", "timestamp": "1700000000000", "token": "t & t", "version": "1.0.0", "warmup": "1",
        "weight": "50",
    }  # fmt: skip


def test_an_address_of_version_6_is_in_brackets() -> None:
    (service,) = read_services(file(PLAIN)).values()
    assert unquote(entry_of(Provider("a", "fd00::2", 1, 2, 3), service)).startswith("dubbo://[fd00::2]:1/a.B?")


def test_entries_are_there_while_the_gateway_is(
    zookeeper: ZooKeeper, look: KazooClient, services: str, root: str, tmp_path: Path
) -> None:
    with registered(tmp_path, services, root, zookeeper.address) as program:
        (url,) = entries(look, root)
        assert url.startswith(f"dubbo://{HOST}:{program.port}/{MODELS}?")
        assert entries(look, root, SCORER)
        assert program.metric("registry_services") == 2
    assert entries(look, root) == []


def test_entries_that_somebody_deleted_are_made_again(
    zookeeper: ZooKeeper, look: KazooClient, services: str, root: str, tmp_path: Path
) -> None:
    with registered(tmp_path, services, root, zookeeper.address):
        folder = f"/{root}/{MODELS}/providers"
        look.delete(f"{folder}/{look.get_children(folder)[0]}")
        eventually(lambda: len(entries(look, root)) == 1)


def test_a_session_that_was_lost_is_made_good(
    zookeeper: ZooKeeper, look: KazooClient, services: str, root: str, tmp_path: Path
) -> None:
    with (
        BreakingProxy(zookeeper.port) as proxy,
        registered(tmp_path, services, root, f"127.0.0.1:{proxy.port}") as program,
    ):
        proxy.stall()
        eventually(lambda: entries(look, root) == [])
        eventually(lambda: program.metric("registry_connected") == 0)
        assert program.ready() == "ready", "whoever knows the address is served as before"
        assert program.metric("registry_services_wanted") == 2
        proxy.cut()
        proxy.flow()
        eventually(lambda: len(entries(look, root)) == 1, 20)
        eventually(lambda: program.metric("registry_services") == 2)
        assert program.metric("registry_connected") == 1
        assert program.metric("registrations_total") == 4


def test_zookeeper_that_comes_later_is_waited_for(
    zookeeper: ZooKeeper, look: KazooClient, services: str, root: str, tmp_path: Path
) -> None:
    with BreakingProxy(zookeeper.port) as proxy:
        proxy.refuse()
        with registered(tmp_path, services, root, f"127.0.0.1:{proxy.port}", ready=False) as program:
            program.process.start()
            program.process.wait_line("listening on")
            assert program.ready() == "not all services are registered in ZooKeeper"
            proxy.accept()
            eventually(lambda: program.ready() == "ready", 20)
            assert len(entries(look, root)) == 1


def test_callers_go_on_while_zookeeper_is_away_and_entries_are_there_after(
    caller_of: Callable[[str], DubboCaller], zookeeper: ZooKeeper, look: KazooClient, services: str, root: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    with registered(tmp_path, services, root, zookeeper.address):
        reference = referred(caller_of("3.3.2"), zookeeper, root)
        eventually(lambda: answered(reference))
        zookeeper.stop()
        try:
            time.sleep(1)
            assert answered(reference)
        finally:
            zookeeper.start()
        eventually(lambda: look.connected and len(entries(look, root)) == 1, 20)
        assert answered(reference)
        reference.drop()


def test_a_caller_follows_the_gateway_to_another_port(
    caller: DubboCaller, zookeeper: ZooKeeper, services: str, root: str, tmp_path: Path
) -> None:
    with registered(tmp_path, services, root, zookeeper.address) as program:
        reference = referred(caller, zookeeper, root)
        eventually(lambda: answered(reference))
        first = program.port
        program.stop()
        program.start()
        assert program.port != first
        eventually(lambda: answered(reference), 20)
        reference.drop()


def test_credentials_protect_the_entries(
    zookeeper: ZooKeeper, look: KazooClient, services: str, root: str, tmp_path: Path
) -> None:
    secret = tmp_path / "auth"
    secret.write_text("gateway:secret\n")
    with registered(tmp_path / "g", services, root, zookeeper.address, f"--registry-auth-file={secret}"):
        folder = f"/{root}/{MODELS}/providers"
        (name,) = look.get_children(folder)
        with pytest.raises(NoAuthError):
            look.set(f"{folder}/{name}", b"mine")
        look.create(f"/{root}/{MODELS}/consumers", b"")


def test_a_token_is_told_in_the_registry_and_asked_of_callers(
    caller_of: Callable[[str], DubboCaller], zookeeper: ZooKeeper, services: str, root: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    caller = caller_of("2.7.23")
    with registered(tmp_path / "g", services, root, zookeeper.address, f"--dubbo-token-file={token}") as program:
        reference = referred(caller, zookeeper, root)
        eventually(lambda: answered(reference))
        direct = caller.refer(interface=MODELS, url=program.address(MODELS), version="1.0.0", group="risk")
        with pytest.raises(Exception, match="asks for a token, and the call has another one or none"):
            direct.call("predict", text("sum"), ROWS)
        reference.drop()
