"""What would change, told field by field: the live object against what a server-side dry-run answers.

Both sides come from the API server, so defaults, pruning and the fields of other managers are the same on both, and
only what would really change is shown. Lists whose items have names are compared by name, all others by position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.objects import PREFIX, Body

_NOISE = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"})
_OURS = frozenset({f"{PREFIX}/digest"})
VALUE_CHARS_MAX = 160


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would change; `before` and `after` are None where it is absent."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}: {_shown(self.after)}"
        if self.after is None:
            return f"- {self.path}: {_shown(self.before)}"
        return f"~ {self.path}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """What would happen to one object."""

    kind: str
    name: str
    verb: Literal["create", "change", "keep", "remove"]
    changes: tuple[Change, ...] = ()


def compare(before: Body | None, after: Body) -> ObjectDiff:
    """Return the difference of the live object (None: there is none) and the dry-run's answer."""
    kind, name = str(after["kind"]), str(after["metadata"]["name"])
    if before is None:
        changes = tuple(_changes({}, _relevant(after)))
        return ObjectDiff(kind, name, "create", changes)
    changes = tuple(_changes(_relevant(before), _relevant(after)))
    return ObjectDiff(kind, name, "change" if changes else "keep", changes)


def differences(before: Body, after: Body) -> Iterator[Change]:
    """Yield every field in which two documents differ."""
    return _changes(before, after)


def told(diffs: Iterable[ObjectDiff]) -> str:
    """Return the diffs as text for a terminal; an empty text when nothing would change."""
    lines: list[str] = []
    for item in diffs:
        if item.verb == "keep":
            continue
        lines.append(f"{item.verb} {item.kind} {item.name}")
        lines += [f"    {change}" for change in item.changes]
    return "\n".join(lines)


def _relevant(body: Body) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NOISE}
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key not in _OURS}
    kept = {key: value for key, value in body.items() if key not in ("status", "metadata", "apiVersion", "kind")}
    return {**kept, "metadata": {**metadata, "annotations": annotations}}


def _changes(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _changes(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _keyed(before), _keyed(after)
        for item in dict.fromkeys([*old, *new]):
            yield from _changes(old.get(item), new.get(item), f"{path}[{item}]")
    elif isinstance(after, Mapping) and before is None and after:
        for key, value in after.items():
            yield from _changes(None, value, f"{path}.{key}" if path else str(key))
    elif before is not None or after not in ({}, []):
        yield Change(path, before, after)


def _keyed(items: list[Any]) -> dict[Any, Any]:
    named = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    if all(named) and len(set(named)) == len(named):
        return dict(zip(named, items, strict=True))
    return dict(enumerate(items))


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}… ({len(text)} characters)"
