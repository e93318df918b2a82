"""Programs built from Go modules, where no binary can be fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.parts.install import Say, run, tool

_ENV = {"GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}


def go_install(package: str, version: str, folder: Path, *, ldflags: str = "-s -w") -> None:
    """Install `package@version` into `folder`; for modules whose go.mod has no replace."""
    env = {**_ENV, "GOFLAGS": "-buildvcs=false", "GOBIN": str(folder)}
    run([tool("go", package), "install", "-ldflags", ldflags, f"{package}@{version}"], cwd=folder, env=env)


def module_folder(module: str, version: str) -> Path:
    """Return the folder of a module's sources in the module cache, fetching it when it is not there."""
    answer = run([tool("go", module), "mod", "download", "-json", f"{module}@{version}"], cwd=Path("/"))
    return Path(str(msgspec.json.decode(answer[answer.index("{") :])["Dir"]))


def go_build(
    packages: Sequence[str],
    folder: Path,
    *,
    require: Mapping[str, str],
    replace: Mapping[str, str] | None = None,
    go_sum: str = "",
    ldflags: str = "-s -w",
    say: Say,
) -> None:
    """Build main packages into `folder` from a module of our own.

    That is the way to build a module whose go.mod replaces others by relative folders: `go install` refuses it, and
    `replace` (module -> version) says which published versions stand for those folders.
    """
    go = tool("go", packages[0])
    lines = ["module milepost.test/build", "", "go 1.22.0", ""]
    lines += [f"require {module} {version}" for module, version in require.items()]
    lines += [f"replace {module} => {module} {version}" for module, version in (replace or {}).items()]
    own = folder / "module"
    own.mkdir()
    (own / "go.mod").write_text("\n".join(lines) + "\n")
    (own / "go.sum").write_text(go_sum)
    for package in packages:
        name = package.rsplit("/", 1)[1]
        say(f"{package}: building (the first time takes minutes)")
        command = [go, "build", "-trimpath", "-ldflags", ldflags, "-o", str(folder / name), package]
        run(command, cwd=own, env=_ENV)
