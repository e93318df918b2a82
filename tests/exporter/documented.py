"""The tables of docs/exporter.md, made from the code: `python -m tests.exporter.documented` writes them again."""

from __future__ import annotations

import re
from pathlib import Path

from exporter.page.families import FAMILIES
from exporter.page.family import Family, Mode, Scope
from exporter.settings import GROUPS
from milepost.settings import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "exporter.md"
_BETWEEN = "<!-- {name} -->\n{content}\n<!-- /{name} -->"


def metrics_table(mode: Mode) -> str:
    """Return the families of one mode."""
    rows = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{family.name}` | {family.kind.value} | {_labels(family)} | {family.help} |"
        for family in FAMILIES
        if family.mode is mode
    ]
    return "\n".join(rows)


def scopes_table() -> str:
    """Return the identity labels of every scope."""
    rows = ["| scope | labels |", "| --- | --- |"]
    rows += [
        f"| {scope.name.lower()} | {', '.join(f'`{label}`' for label in scope.labels)} |"
        for scope in Scope
        if scope.labels
    ]
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """Return the document with its tables as they should be. Raises ValueError when the place of one is missing."""
    tables = {
        "scopes": scopes_table(),
        "metrics-node": metrics_table(Mode.NODE),
        "metrics-cluster": metrics_table(Mode.CLUSTER),
        "metrics-own": metrics_table(Mode.BOTH),
        "settings": table(GROUPS),
    }
    for name, content in tables.items():
        place = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"{DOCUMENT} has no place for the table {name!r}")
        text = place.sub(lambda _, n=name, c=content: _BETWEEN.format(name=n, content=c), text)  # type: ignore[misc]
    return text


def _labels(family: Family) -> str:
    scope = "" if family.scope is Scope.EXPORTER else family.scope.name.lower()
    return ", ".join([*([scope] if scope else []), *(f"`{label}`" for label in family.labels)])


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
