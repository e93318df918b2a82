"""All parts by name, in the order of their installation: the quick ones first, the long build last."""

from __future__ import annotations

from collections.abc import Callable

from tests.parts import kafka
from tests.parts.install import Part, Say, install

OPTIONAL: frozenset[str] = frozenset()
"""Parts that may be missing even in CI."""


def _folder(part: Part) -> Callable[[Say], str]:
    return lambda say: str(install(part, say))


INSTALLERS: dict[str, Callable[[Say], str]] = {
    "kafka": _folder(kafka.PART),
}
"""Each installs one part, unless it is there, and returns where it is; raises Unavailable."""
