"""What the README says of the code, made from the code: `python -m tests.readme` writes it."""

from __future__ import annotations

from pathlib import Path

from logserver.cli import GROUPS
from milepost.settings import table

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- settings: written by `python -m tests.readme` -->", "<!-- /settings -->"


def with_settings(readme: str) -> str:
    """Return the README with the settings as the code has them."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table(GROUPS)}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_settings(README.read_text()))
