"""Callers and permissions without a cluster: the token file, the header, the choice of the authorizer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from milepost.auth import (
    AllowAll,
    AuthSettings,
    AuthUnavailable,
    Caller,
    TokenFile,
    Unauthenticated,
    bearer_token,
    open_authorizer,
)
from milepost.settings import SettingsError

FILE = """
tokens:
  - name: grafana
    sha256: {digest}
    groups: [readers]
    allow:
      - {{verbs: [get], resources: [pods/log], namespaces: [prod]}}
      - {{verbs: ["*"], resources: [seldondeployments], groups: [machinelearning.seldon.io], namespaces: ["*"]}}
"""


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.yaml"
    path.write_text(FILE.format(digest=hashlib.sha256(b"abc").hexdigest()))
    return path


async def test_a_listed_token_is_its_caller_and_any_other_is_refused(token_file: Path) -> None:
    auth = TokenFile(token_file)
    assert await auth.authenticate("abc") == Caller("grafana", ("readers",))
    for wrong in (None, "", "abd", "x" * 20000):
        with pytest.raises(Unauthenticated):
            await auth.authenticate(wrong)


@pytest.mark.parametrize(
    ("verb", "group", "resource", "subresource", "namespace", "answer"),
    [
        ("get", "", "pods", "log", "prod", True),
        ("get", "", "pods", "log", "qa", False),
        ("get", "", "pods", "log", "", False),
        ("get", "", "pods", "", "prod", False),
        ("delete", "", "pods", "log", "prod", False),
        ("get", "apps", "pods", "log", "prod", False),
        ("delete", "machinelearning.seldon.io", "seldondeployments", "", "", True),
    ],
)
async def test_rules(
    token_file: Path, verb: str, group: str, resource: str, subresource: str, namespace: str, answer: bool
) -> None:
    auth = TokenFile(token_file)
    caller = await auth.authenticate("abc")
    said = await auth.allowed(
        caller, verb=verb, group=group, resource=resource, subresource=subresource, namespace=namespace
    )
    assert said is answer
    assert not await auth.allowed(Caller("nobody"), verb=verb, group=group, resource=resource, namespace=namespace)


async def test_a_token_taken_out_of_the_file_is_refused_at_once(token_file: Path) -> None:
    auth = TokenFile(token_file)
    await auth.authenticate("abc")
    token_file.write_text("tokens: []\n")
    os.utime(token_file, ns=(1, 1))
    with pytest.raises(Unauthenticated):
        await auth.authenticate("abc")


@pytest.mark.parametrize(
    "content",
    [
        "tokens: [",
        "tokens: [{name: a, sha256: abc}]",
        "tokens: [{name: a, token: abc}]",
        "tokens: [{name: a, sha256: " + "0" * 64 + "}, {name: b, sha256: " + "0" * 64 + "}]",
        "#" * (1 << 21),
    ],
)
async def test_a_broken_file_refuses_everybody_and_says_why(token_file: Path, content: str) -> None:
    token_file.write_text(content)
    with pytest.raises(AuthUnavailable, match="token file"):
        await TokenFile(token_file).authenticate("abc")


async def test_a_missing_file_refuses_everybody(tmp_path: Path) -> None:
    with pytest.raises(AuthUnavailable, match="cannot be read"):
        await TokenFile(tmp_path / "none").authenticate("abc")


@pytest.mark.parametrize(
    ("header", "token"),
    [(None, None), ("", None), ("Bearer", None), ("Bearer  x ", "x"), ("bearer x", "x"), ("Basic eA==", None)],
)
def test_bearer_token(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


def test_the_mode_chooses_the_authorizer() -> None:
    assert isinstance(open_authorizer(AuthSettings(), None), AllowAll)
    assert isinstance(open_authorizer(AuthSettings(mode="token-file", token_file="/x"), None), TokenFile)
    with pytest.raises(SettingsError, match="token_file"):
        open_authorizer(AuthSettings(mode="token-file"), None)
    with pytest.raises(SettingsError, match="no connection to a cluster"):
        open_authorizer(AuthSettings(mode="kubernetes"), None)
