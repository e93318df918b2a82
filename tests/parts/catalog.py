"""All parts by name, in the order of their installation: the quick ones first, the long build last."""

from __future__ import annotations

from collections.abc import Callable

from tests.parts import addresses, kafka, kubernetes_build
from tests.parts.install import Part, Say, install

OPTIONAL: frozenset[str] = frozenset()
"""Parts that may be missing even in CI."""


def _folder(part: Part) -> Callable[[Say], str]:
    return lambda say: str(install(part, say))


def _addresses(_: Say) -> str:
    addresses.make_local()
    return f"{addresses.BLOCK} on loopback"


INSTALLERS: dict[str, Callable[[Say], str]] = {
    "kafka": _folder(kafka.PART),
    "addresses": _addresses,
    "etcd": lambda _: str(kubernetes_build.etcd_binary()),
    "kwok": _folder(kubernetes_build.KWOK),
    "kubernetes": _folder(kubernetes_build.KUBERNETES),
}
"""Each installs one part, unless it is there, and returns where it is; raises Unavailable."""
