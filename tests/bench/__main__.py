"""Run the measurements: `python -m tests.bench` runs all, `python -m tests.bench --list` names them, names pick some.

Each measurement is a module of this package with a `main`; it runs as a process of its own, so that none inherits the
memory or the threads of another, and prints its own figures.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def measurements() -> dict[str, str]:
    """Return name -> first line of the docstring of every measurement."""
    found = {}
    for file in sorted(HERE.glob("*.py")):
        if not file.stem.startswith("_"):
            text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
            found[file.stem] = text.partition("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """Run what was asked for; return the number of measurements that failed."""
    known = measurements()
    if arguments == ["--list"]:
        print("\n".join(f"{name:20} {text}" for name, text in known.items()))  # noqa: T201
        return 0
    if unknown := [name for name in arguments if name not in known]:
        print(f"no measurement is named {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)  # noqa: T201
        return 2
    failed = 0
    for name in arguments or known:
        print(f"\n== {name}: {known[name]}", flush=True)  # noqa: T201
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
        outcome = "done" if code == 0 else f"FAILED ({code})"
        print(f"== {name}: {outcome} in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        failed += code != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
