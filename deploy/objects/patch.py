"""Merge patches: JSON merge patch (RFC 7386) with one addition, items of a list.

A mapping merges key by key, null removes a key, anything else replaces. The addition: a *mapping* over a *list*
addresses single items, by their `name` or by their index as text, so that one container or one predictor can be
patched without writing the whole list (a list over a list still replaces it):

    predictors:
      default:                  # the item whose name is `default`
        componentSpecs:
          "0":                  # items without a name go by index
            spec: {hostNetwork: true}

null removes the item, an unknown name appends an item of that name, the index after the last appends as well.
`difference(old, new)` is the smallest such patch: `merge(old, difference(old, new)) == new`, unless `new` holds a null.
"""

from __future__ import annotations

from typing import Any


class PatchError(ValueError):
    """A patch addresses an item that is not there; the message names it."""


def merge(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` applied; neither is changed. Raises PatchError."""
    if not isinstance(patch, dict):
        return patch
    if isinstance(target, list):
        return _merge_items(target, patch)
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def difference(old: Any, new: Any) -> Any:
    """Return the patch that turns `old` into `new`; an empty mapping when they are equal mappings.

    Raises PatchError where a list became a mapping, which no patch can say.
    """
    if isinstance(old, list) and isinstance(new, dict):
        raise PatchError("a list cannot be patched into a mapping")
    if isinstance(old, dict) and isinstance(new, dict):
        return _difference_of_mappings(old, new)
    if isinstance(old, list) and isinstance(new, list) and (keys := _same_items(old, new)) is not None:
        return {key: difference(a, b) for key, a, b in zip(keys, old, new, strict=True) if a != b}
    return new


def _difference_of_mappings(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif old[key] != value:
            patch[key] = difference(old[key], value)
    return patch


def _same_items(old: list[Any], new: list[Any]) -> list[str] | None:
    """Return the keys that address the items of both lists alike, or None when the list must be replaced."""
    if len(old) != len(new) or not old or not all(isinstance(item, dict) for item in old + new):
        return None
    names = [item.get("name") for item in old]
    if names != [item.get("name") for item in new]:
        return None
    if any(isinstance(name, str) and name.isdigit() for name in names):
        return None
    if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return [str(name) for name in names]
    return [str(index) for index in range(len(old))]


def _merge_items(target: list[Any], patch: dict[str, Any]) -> list[Any]:
    items: list[Any] = list(target)
    removed: list[int] = []
    for key, value in patch.items():
        index = _index(items, key)
        if value is None:
            removed.append(_present(items, index, key))
        elif index == len(items):
            named = {} if key.isdigit() else {"name": key}
            items.append(merge(named, value))
        else:
            index = _present(items, index, key)
            items[index] = merge(items[index], value)
    return [item for index, item in enumerate(items) if index not in removed]


def _index(items: list[Any], key: str) -> int:
    for index, item in enumerate(items):
        if isinstance(item, dict) and item.get("name") == key:
            return index
    return int(key) if key.isdigit() else len(items)


def _present(items: list[Any], index: int, key: str) -> int:
    if index >= len(items):
        raise PatchError(f"there is no item {key!r} in a list of {len(items)}")
    return index
