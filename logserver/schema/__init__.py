"""The tables, as versioned steps: `0001_lines.sql` and on; one schema for both engines.

A step is a file of statements ended by `;`, each safe to repeat (`IF NOT EXISTS`, or a change that is none the second
time), so replicas that start at the same time may run the same step side by side: the outcome is the same. Applied
steps are recorded in `schema_steps`; a store that has a step this program does not know was written by a newer version
and is refused.

Engines differ only in the words put for `${...}`: plain MergeTree tables of the embedded engine and of a single server
remember insert tokens by `non_replicated_deduplication_window`; replicated ones always do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from string import Template

from logserver.errors import Fatal
from logserver.store import Store, read

# Inserts a table remembers by token: far more than are ever in flight or retried.
DEDUP_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class Dialect:
    """How tables are made; `cluster` is the name for ON CLUSTER, empty for none."""

    replicated: bool = False
    cluster: str = ""

    def words(self) -> dict[str, str]:
        """Return what stands for each `${name}` of the steps."""
        prefix = "Replicated" if self.replicated else ""
        window = "replicated_deduplication_window" if self.replicated else "non_replicated_deduplication_window"
        return {
            "on_cluster": f"ON CLUSTER `{self.cluster}`" if self.cluster else "",
            "replacing_merge_tree": f"{prefix}ReplacingMergeTree()",
            "replacing_merge_tree_version": f"{prefix}ReplacingMergeTree(version)",
            "aggregating_merge_tree": f"{prefix}AggregatingMergeTree()",
            "dedup_window": f"{window} = {DEDUP_WINDOW}",
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One file of the schema: its number, its name and its statements, ready to run."""

    number: int
    name: str
    statements: tuple[str, ...]


def steps(dialect: Dialect) -> list[Step]:
    """Return every step in order."""
    found = []
    for file in resources.files(__package__).iterdir():
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            text = Template(file.read_text("utf-8")).substitute(dialect.words())
            found.append(Step(int(match[1]), match[2], tuple(_statements(text))))
    return sorted(found, key=lambda step: step.number)


def migrate(store: Store, dialect: Dialect) -> list[int]:
    """Bring the store to the newest step and return the numbers of the steps applied now.

    Raises Fatal when the store is newer than this program.
    """
    words = dialect.words()
    store.execute(
        f"CREATE TABLE IF NOT EXISTS schema_steps {words['on_cluster']} "
        f"(step UInt32, name String, applied_at DateTime DEFAULT now()) "
        f"ENGINE = {words['replacing_merge_tree']} ORDER BY step"
    )
    applied = {int(str(row["step"])) for row in read(store, "SELECT DISTINCT step FROM schema_steps")}
    known = steps(dialect)
    if newer := applied - {step.number for step in known}:
        raise Fatal(f"the store has schema step {max(newer)}, this program knows {known[-1].number}: use a newer one")
    missing = [step for step in known if step.number not in applied]
    for step in missing:
        for statement in step.statements:
            store.execute(statement)
        store.execute(
            "INSERT INTO schema_steps (step, name) SELECT {step:UInt32}, {name:String}",
            {"step": step.number, "name": step.name},
        )
    return [step.number for step in missing]


def _statements(text: str) -> Iterator[str]:
    without_comments = re.sub(r"--[^\n]*", "", text)
    for statement in without_comments.split(";"):
        if stripped := statement.strip():
            yield stripped
