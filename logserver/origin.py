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
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logserver.distinct import combined, joined, mapped, split
from logserver.levels import level_of
from milepost.identity import model_and_predictor

# Distinct values remembered over batches; each takes about a kilobyte.
REMEMBERED = 20_000

_CONTAINERS_ID = re.compile(r"/containers/.*-([0-9a-f]{64})[.]log")
_CONTAINERS = re.compile(r"/containers/([^/_]+)_([^/_]+)_([^/]+)-[0-9a-f]{64}[.]log")
_PODS = re.compile(r"/pods/([^/_]+)_([^/_]+)_([^/_]+)/([^/]+)/[^/]*\Z")


class Said(NamedTuple):
    """What a document says of its origin; named as the columns of `facts`."""

    file_path: str
    device_id: str
    inode: str
    fingerprint: str
    host: str
    said_container_id: str
    said_namespace: str
    said_pod: str
    said_container: str


class Origin(NamedTuple):
    """Where a line comes from; `file_id` is 0 when the document names no file."""

    namespace: str
    pod: str
    container: str
    container_id: str
    file_id: int


def origin(said: Said) -> Origin:
    """Return the origin; what the metadata does not say, the path does."""
    path = said.file_path
    found_id = _CONTAINERS_ID.search(path)
    path_container_id = found_id[1] if found_id else ""
    pod, namespace, container, uid = "", "", "", ""
    if found := _CONTAINERS.search(path):
        pod, namespace, container = found.groups()
    elif not path_container_id and (found := _PODS.search(path)):
        namespace, pod, uid, container = found.groups()
    return Origin(
        said.said_namespace or namespace,
        said.said_pod or pod,
        said.said_container or container,
        said.said_container_id or path_container_id,
        file_id(said, path_container_id or (f"{uid}/{container}" if uid else "")) if path else 0,
    )


def file_id(said: Said, scope: str) -> int:
    """Return the file's id, never 0. `scope` is what the path says the file belongs to, empty when nothing.

    The path comes before the metadata, which may come late. A growing fingerprint changes with the file, device and
    inode do not.
    """
    scope = scope or said.said_container_id or f"{said.host}:{said.file_path}"
    name = f"{said.device_id}:{said.inode}" if said.inode else said.fingerprint or said.file_path
    digest = hashlib.blake2b(f"{scope}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def labels_model(label_text: str) -> tuple[str, str]:
    """Return (model, predictor) of a pod's labels, given as the text of a JSON object."""
    try:
        labels = msgspec.json.decode(label_text)
    except msgspec.DecodeError:
        return "", ""
    if not isinstance(labels, dict):
        return "", ""
    return model_and_predictor({name: value for name, value in labels.items() if isinstance(value, str)})


class Origins:
    """Names the lines of batches, remembering what was worked out before."""

    def __init__(self) -> None:
        self._origin = lru_cache(REMEMBERED)(origin)
        self._model = lru_cache(REMEMBERED)(labels_model)
        self._level = lru_cache(REMEMBERED)(level_of)

    def named(self, facts: pa.Table) -> pa.Table:
        """Return the table with its origin: columns of Said and signs go, those of the line come."""
        found = combined([facts[name] for name in Said._fields])
        origins = [self._origin(Said(*values)) for values in found.values]
        offsets = facts["offset_in_file"].combine_chunks()
        ids = np.array([one.file_id for one in origins], dtype=np.uint64)
        file_ids = ids[found.codes] if len(ids) else np.zeros(0, dtype=np.uint64)
        file_ids[pc.is_null(offsets).to_numpy(zero_copy_only=False)] = 0
        label_codes, labels = split(facts["label_text"])
        models = [self._model(text) for text in labels]
        columns = {name: facts[name] for name in _AS_SAID} | {
            "namespace": joined(found.codes, [one.namespace for one in origins]),
            "pod": joined(found.codes, [one.pod for one in origins]),
            "container": joined(found.codes, [one.container for one in origins]),
            "container_id": joined(found.codes, [one.container_id for one in origins]),
            "model": joined(label_codes, [model for model, _ in models]),
            "predictor": joined(label_codes, [predictor for _, predictor in models]),
            "labels": joined(label_codes, [text or "{}" for text in labels]),
            "level": mapped(facts["level_sign"], self._level),
            "file_id": pa.array(file_ids),
            "file_offset": pc.fill_null(offsets, 0),
        }
        columns["doubt"] = _doubts(facts["doubt"], columns["namespace"])
        return pa.table(columns)


def _doubts(doubts: pa.ChunkedArray, namespaces: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the doubts; metadata of a wrong type does not matter where the path names the namespace."""
    codes, values = split(doubts)
    if "kubernetes" not in values:
        return joined(codes, values)
    named = pc.not_equal(namespaces.cast(pa.string()), "").to_numpy(zero_copy_only=False)
    nothing = len(values)
    codes = np.where(named & (codes == values.index("kubernetes")), nothing, codes)
    return joined(codes, [*("type" if value == "kubernetes" else value for value in values), ""])


_AS_SAID = ("ts", "message", "trace_id", "stream", "flags", "file_path", "node")
