"""Where a line comes from: names, model and file, worked out from what its document says. Pure.

A document may lack its metadata (Filebeat sends the first lines of a pod before the API server told it of the pod), but
the file's path is always there and names namespace, pod and container:

    /var/log/containers/<pod>_<namespace>_<container>-<64 hex>.log
    /var/log/pods/<namespace>_<pod>_<uid>/<container>/<n>.log

https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-location-node
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logserver.decode.distinct import Codes, combined, joined, mapped, paired, split
from logserver.decode.levels import level_of
from logserver.decode.metadata import Ask, Metadata, read_metadata
from logserver.record import ORIGIN_FIELDS
from milepost.identity import model_and_predictor

# Distinct values remembered over batches; each takes about a kilobyte.
REMEMBERED = 20_000

_CONTAINERS_ID = re.compile(r"/containers/.*-([0-9a-f]{64})[.]log")
_CONTAINERS = re.compile(r"/containers/([^/_]+)_([^/_]+)_([^/]+)-[0-9a-f]{64}[.]log")
_PODS = re.compile(r"/pods/([^/_]+)_([^/_]+)_([^/_]+)/([^/]+)/[^/]*\Z")


class File(NamedTuple):
    """What a document says of its line's file; named as the columns of `facts`."""

    path: str
    device_id: str
    inode: str
    fingerprint: str


class PathNames(NamedTuple):
    """What the path of a container's file says; empty where it says nothing."""

    namespace: str
    pod: str
    container: str
    container_id: str
    scope: str  # what the file belongs to


class Origin(NamedTuple):
    """Where a line comes from: ORIGIN_FIELDS, and `file_id`, 0 when the document names no file."""

    namespace: str
    model: str
    predictor: str
    pod: str
    container: str
    node: str
    labels: str
    container_id: str
    file_path: str
    file_id: int


def path_names(path: str) -> PathNames:
    """Return what the path says."""
    found_id = _CONTAINERS_ID.search(path)
    container_id = found_id[1] if found_id else ""
    if found := _CONTAINERS.search(path):
        pod, namespace, container = found.groups()
        return PathNames(namespace, pod, container, container_id, container_id)
    if not container_id and (found := _PODS.search(path)):
        namespace, pod, uid, container = found.groups()
        return PathNames(namespace, pod, container, "", f"{uid}/{container}")
    return PathNames("", "", "", container_id, container_id)


def origin(file: File, said: Metadata) -> Origin:
    """Return the origin; what the metadata do not say, the path does."""
    named = path_names(file.path)
    return Origin(
        said.namespace or named.namespace,
        *labels_model(said.labels),
        said.pod or named.pod,
        said.container or named.container,
        said.node,
        said.labels,
        said.container_id or named.container_id,
        file.path,
        file_id(file, said, named.scope) if file.path else 0,
    )


def file_id(file: File, said: Metadata, scope: str) -> int:
    """Return the file's id, never 0. `scope` is what the path says the file belongs to, empty when nothing.

    The path comes before the metadata, which may come late. A growing fingerprint changes with the file, device and
    inode do not.
    """
    scope = scope or said.container_id or f"{said.host}:{file.path}"
    name = f"{file.device_id}:{file.inode}" if file.inode else file.fingerprint or file.path
    digest = hashlib.blake2b(f"{scope}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def origin_text(names: Sequence[str]) -> str:
    """Return the column `origin` of a line with these ORIGIN_FIELDS."""
    return msgspec.json.encode(names).decode()


def labels_model(label_text: str) -> tuple[str, str]:
    """Return (model, predictor) of a pod's labels, given as the text of a JSON object."""
    labels = msgspec.json.decode(label_text)
    return model_and_predictor({name: value for name, value in labels.items() if isinstance(value, str)})


class Origins:
    """Names the lines of batches, remembering what was worked out before."""

    def __init__(self) -> None:
        self._names_pod = lru_cache(REMEMBERED)(lambda path: bool(path_names(path).pod))
        self._origin = lru_cache(REMEMBERED)(origin)
        self._level = lru_cache(REMEMBERED)(level_of)

    def named(self, facts: pa.Table, ask: Ask) -> pa.Table:
        """Return the table with its origin: columns of File and signs go, those of the line come."""
        codes, sources = self._sources(facts, ask)
        origins = [self._origin(file, said) for file, said in sources]
        offsets = facts["offset_in_file"].combine_chunks()
        ids = np.array([one.file_id for one in origins], dtype=np.uint64)
        file_ids = ids[codes] if len(ids) else np.zeros(0, dtype=np.uint64)
        file_ids[pc.is_null(offsets).to_numpy(zero_copy_only=False)] = 0
        odd = [bool(said.doubt) and not one.namespace for one, (_, said) in zip(origins, sources, strict=True)]
        columns = {name: facts[name] for name in _AS_SAID}
        columns |= {name: joined(codes, [getattr(one, name) for one in origins]) for name in ORIGIN_FIELDS}
        columns |= {
            "origin": joined(codes, [origin_text([getattr(one, name) for name in ORIGIN_FIELDS]) for one in origins]),
            "file_id": pa.array(file_ids),
            "file_offset": pc.fill_null(offsets, 0),
            "level": mapped(facts["level_sign"], self._level),
            "doubt": _doubts(facts["doubt"], codes, odd),
        }
        return pa.table(columns)

    def _sources(self, facts: pa.Table, ask: Ask) -> tuple[Codes, list[tuple[File, Metadata]]]:
        """Return for each row which of the distinct sources it has."""
        found = combined([facts[name] for name in File._fields])
        files = [File(*values) for values in found.values]
        said_codes, said = read_metadata(found, [self._names_pod(file.path) for file in files], ask)
        codes, firsts = paired(found.codes, said_codes, len(said))
        return codes, [(files[found.codes[row]], said[said_codes[row]]) for row in firsts]


def _doubts(doubts: pa.ChunkedArray, sources: Codes, odd: list[bool]) -> pa.DictionaryArray:
    """Return the doubts; metadata of a wrong type matter where the path does not name the namespace."""
    codes, values = split(doubts)
    if any(odd):
        named = np.array([value != "" for value in values])
        codes = np.where(np.array(odd)[sources] & ~named[codes], len(values), codes)
    return joined(codes, [*values, "type"])


_AS_SAID = ("ts", "message", "trace_id", "stream", "flags")
