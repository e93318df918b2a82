"""Paths of the Kubernetes API, built from names so that no name can escape its segment.

`/api/v1/...` is the core group, `/apis/GROUP/VERSION/...` any other:
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris.
"""

from __future__ import annotations

_FORBIDDEN = frozenset("/%?#\\")


def resource_path(
    group: str, version: str, resource: str, *, namespace: str = "", name: str = "", subresource: str = ""
) -> str:
    """Return the path of a collection or, with `name`, of one object; the core group is the empty string.

    Raises ValueError, naming the part, when a part is no valid path segment.
    """
    parts = ["apis", _segment("group", group)] if group else ["api"]
    parts.append(_segment("version", version))
    if namespace:
        parts += ["namespaces", _segment("namespace", namespace)]
    parts.append(_segment("resource", resource))
    if name:
        parts.append(_segment("name", name))
    if subresource:
        if not name:
            raise ValueError(f"subresource {subresource!r} needs the name of an object")
        parts.append(_segment("subresource", subresource))
    return "/" + "/".join(parts)


def check_path(path: str) -> str:
    """Return `path` when it is an absolute path without a query, an escape or a dot segment; raise ValueError else."""
    dotted = any(part in (".", "..") for part in path.split("/"))
    if not path.startswith("/") or dotted or not _FORBIDDEN.isdisjoint(path.replace("/", "")):
        raise ValueError(f"{path!r} is not a plain path of the Kubernetes API")
    if any(ord(char) <= 32 for char in path):
        raise ValueError(f"{path!r} holds a space or a control character")
    return path


def _segment(part: str, value: str) -> str:
    # The rule of path.ValidatePathSegmentName in k8s.io/apimachinery, and no '?' or '#'.
    if not value or value in (".", "..") or not _FORBIDDEN.isdisjoint(value) or any(ord(char) <= 32 for char in value):
        raise ValueError(f"{part} {value!r} cannot be part of a Kubernetes API path")
    return value
