"""The documentation says what the code does: its tables are made from the code's own."""

from __future__ import annotations

from tests.exporter.documented import DOCUMENT, with_tables


def test_the_tables_of_the_documentation_are_those_of_the_code() -> None:
    written = DOCUMENT.read_text()
    assert with_tables(written) == written, "run `python -m tests.exporter.documented`"
