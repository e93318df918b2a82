"""What the client does with answers that a healthy API server seldom gives: turned away, redirected, cut, endless."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from milepost.kube import KubeClient, KubeError, KubeSettings
from milepost.kubeconfig import KubeConfigError
from milepost.units import Seconds
from tests.parts.asgi import serve

QUICK = dataclasses.replace(KubeSettings(), timeout=Seconds(5), watch_idle=Seconds(0.3))


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "config"
    content = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "the-token"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@asynccontextmanager
async def talking_to(
    answers: Callable[[Request, int], Response], folder: Path
) -> AsyncIterator[tuple[KubeClient, list[Request]]]:
    """Yield a client of a server that gives `answers(request, how many came before)`, and the requests it got."""
    app, seen = FastAPI(), list[Request]()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def answer(request: Request) -> Response:
        seen.append(request)
        return answers(request, len(seen) - 1)

    async with serve(app) as url, KubeClient.load(kubeconfig(folder, url), settings=QUICK) as client:
        yield client, seen


async def test_a_request_that_was_turned_away_comes_again_when_it_was_told_to(tmp_path: Path) -> None:
    def answers(_: Request, before: int) -> Response:
        return Response("busy", 429, headers={"Retry-After": "1"}) if before < 1 else Response("done")

    async with talking_to(answers, tmp_path) as (client, seen):
        assert await client.request("POST", "/api/v1/x", body=b"{}") == b"done"
        assert len(seen) == 2


async def test_a_server_that_turns_away_for_ever_is_left_after_the_bound(tmp_path: Path) -> None:
    async with talking_to(lambda *_: Response("busy", 503, headers={"Retry-After": "1"}), tmp_path) as (client, seen):
        with pytest.raises(KubeError) as caught:
            await client.request("GET", "/api/v1/x")
        assert caught.value.transient
        assert len(seen) == QUICK.retries + 1


async def test_a_failure_without_retry_after_is_not_tried_again(tmp_path: Path) -> None:
    async with talking_to(lambda *_: Response("oh", 500), tmp_path) as (client, seen):
        with pytest.raises(KubeError):
            await client.request("POST", "/api/v1/x", body=b"{}")
        assert len(seen) == 1


async def test_a_redirect_is_not_followed_with_our_token(tmp_path: Path) -> None:
    elsewhere = Response("", 302, headers={"Location": "/api/v1/other"})
    async with talking_to(lambda *_: elsewhere, tmp_path) as (client, seen):
        with pytest.raises(KubeError) as caught:
            await client.request("GET", "/api/v1/x")
        assert caught.value.status == 302
        assert [request.headers["authorization"] for request in seen] == ["Bearer the-token"]


async def test_no_answer_in_time_is_a_timeout_that_says_how_long(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    async with talking_to(lambda *_: StreamingResponse(endless()), tmp_path) as (client, _):
        with pytest.raises(KubeError, match=r"within 0.5 s") as caught:
            await client.request("GET", "/api/v1/x", timeout_s=0.5)
        assert (caught.value.status, caught.value.reason) == (0, "Timeout")


async def test_a_stream_ends_after_a_long_silence(tmp_path: Path) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(3)
        yield b"two"

    async with talking_to(lambda *_: StreamingResponse(silent()), tmp_path) as (client, _):
        assert [chunk async for chunk in client.stream("/api/v1/x")] == [b"one"]


@pytest.mark.parametrize("path", ["api", "/api/../admin", "/api?x", "/api/%2e%2e"])
async def test_a_path_that_is_not_plain_is_never_sent(tmp_path: Path, path: str) -> None:
    async with talking_to(lambda *_: Response("{}"), tmp_path) as (client, seen):
        with pytest.raises(ValueError, match="plain path"):
            await client.request("GET", path)
        assert seen == []


async def test_a_refused_connection_is_unreachable(tmp_path: Path) -> None:
    async with KubeClient.load(kubeconfig(tmp_path, "http://127.0.0.1:1")) as client:
        with pytest.raises(KubeError) as caught:
            await client.request("GET", "/version")
        assert (caught.value.status, caught.value.reason, caught.value.transient) == (0, "Unreachable", True)


@pytest.mark.parametrize("content", ["", "a: [", "{}", "current-context: x\ncontexts: []\nclusters: []\n"])
def test_a_broken_kubeconfig_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(KubeConfigError, match=str(tmp_path / "config")):
        KubeClient.load(tmp_path / "config")


def test_no_configuration_at_all_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(KubeConfigError, match="KUBECONFIG is not set"):
        KubeClient.load()


def test_the_file_of_the_environment_is_used_and_an_argument_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://127.0.0.1:1")))
    assert KubeClient.load().server == "http://127.0.0.1:1"
    other = tmp_path / "other"
    other.mkdir()
    assert KubeClient.load(kubeconfig(other, "http://127.0.0.1:2")).server == "http://127.0.0.1:2"
