"""Programs built from Go modules, where no binary can be fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.parts.install import Say, run, tool

_ENV = {"GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}


def go_install(package: str, version: str, folder: Path, *, ldflags: str = "-s -w") -> None:
    """Install `package@version` into `folder`; for modules whose go.mod has no replace."""
    env = {**_ENV, "GOFLAGS": "-buildvcs=false", "GOBIN": str(folder)}
    run([tool("go", package), "install", "-ldflags", ldflags, f"{package}@{version}"], cwd=folder, env=env)


def go_build(
    packages: Sequence[str],
    folder: Path,
    *,
    require: Mapping[str, str],
    replace: Mapping[str, str],
    ldflags: str,
    say: Say,
) -> None:
    """Build main packages into `folder` from a module of our own.

    That is the way to build a module whose go.mod replaces others by relative folders: `go install` refuses it, and
    `replace` (module -> version) says which published versions stand for those folders.
    """
    go = tool("go", packages[0])
    lines = ["module milepost.test/build", "", "go 1.22.0", ""]
    lines += [f"require {module} {version}" for module, version in require.items()]
    lines += [f"replace {module} => {module} {version}" for module, version in replace.items()]
    module_folder = folder / "module"
    module_folder.mkdir()
    (module_folder / "go.mod").write_text("\n".join(lines) + "\n")
    for package in packages:
        name = package.rsplit("/", 1)[1]
        say(f"{name}: building (the first time takes minutes)")
        command = [go, "build", "-trimpath", "-ldflags", ldflags, "-o", str(folder / name), package]
        run(command, cwd=module_folder, env=_ENV)
