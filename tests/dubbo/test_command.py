"""The command: what it refuses before anything runs, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.dubbo.cli import dubbo
from tests.dubbo.test_servicesfile import PLAIN, file
from tests.parts.ports import free_port


@pytest.fixture
def services(tmp_path: Path) -> str:
    path = tmp_path / "services.yaml"
    path.write_text(file(PLAIN))
    return str(path)


def test_check_shows_what_is_served_and_ends(services: str) -> None:
    done = CliRunner().invoke(dubbo, ["--check", services])
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "a.B")


def test_check_tells_a_mistake_with_file_and_place(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(file(PLAIN | {"protocol": "grpc"}))
    done = CliRunner().invoke(dubbo, ["--check", str(path)])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {path}: services[0] (a.B).methods.m.protocol: 'grpc' is none of")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"--dubbo-services": ""}, "dubbo.services names no file"),
        ({"--dubbo-services": "/nowhere"}, "/nowhere: [Errno 2]"),
        ({"--dubbo-token-file": "/nowhere"}, "dubbo.token_file '/nowhere' cannot be read"),
        ({"--dubbo-host": "192.0.2.200"}, "cannot listen on dubbo.host '192.0.2.200', dubbo.port 0"),
        ({"--http-host": "192.0.2.200"}, "cannot listen on http.host '192.0.2.200'"),
        ({"--model-ca-file": "/nowhere"}, "model.ca_file '/nowhere' cannot be used"),
        ({"--registry-zookeeper": "zk:port"}, "registry.zookeeper 'zk:port' is not host:port"),
        ({"--registry-zookeeper": "zk:1", "--registry-auth-file": "/nowhere"}, "registry.auth_file '/nowhere'"),
        (
            {"--dubbo-host": "0.0.0.0", "--registry-zookeeper": "127.0.0.1:many"},
            "registry.zookeeper '127.0.0.1:many' is not host:port",
        ),
        (
            {"--dubbo-host": "0.0.0.0", "--registry-zookeeper": "no-such-host.invalid:2181"},
            "registry.zookeeper 'no-such-host.invalid:2181'",
        ),
        ({"--dubbo-heartbeat": "often"}, "--dubbo-heartbeat is 'often'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(services: str, flags: dict[str, str], message: str) -> None:
    given = {"--dubbo-services": services, "--dubbo-port": "0", "--http-port": str(free_port()), **flags}
    done = CliRunner().invoke(dubbo, [part for flag in given.items() for part in flag])
    assert done.exit_code == 1, done.output
    assert message in done.output


def test_an_empty_token_protects_nothing_and_is_refused(services: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("\n")
    done = CliRunner().invoke(dubbo, ["--dubbo-services", services, "--dubbo-token-file", str(token)])
    assert "is empty" in done.output
