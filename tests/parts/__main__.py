"""`python -m tests.parts [NAME...]`: install the real servers of the tests, all of them unless some are named."""

from __future__ import annotations

import os
import sys
import time

from tests.parts import catalog
from tests.parts.install import Unavailable, parts_dir


def main(names: list[str]) -> int:
    """Install and report; the exit status is 1 when a part is missing and CI is set."""
    unknown = set(names) - set(catalog.INSTALLERS)
    if unknown:
        _say(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(catalog.INSTALLERS)}")
        return 2
    _say(f"parts in {parts_dir()}")
    missing = 0
    for name in names or catalog.INSTALLERS:
        started = time.monotonic()
        try:
            place = catalog.INSTALLERS[name](_say)
        except Unavailable as reason:
            missing += 1
            _say(f"{name}: NOT AVAILABLE: {reason}")
        else:
            _say(f"{name}: ready ({time.monotonic() - started:.1f} s) {place}")
    return 1 if missing and os.environ.get("CI") else 0


def _say(text: str) -> None:
    sys.stdout.write(f"    {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
