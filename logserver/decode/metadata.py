"""Who printed the lines of a batch: what its documents say of host, container and pod. Pure.

Filebeat writes these metadata into every document anew, in the random order of Go's maps; reading them is a third of
what a document costs. Within a container's file they are the same from line to line, so of each such file a batch has,
the first and the last document are read: what both say, those between them say too. Where they differ (Filebeat learned
of the pod in between, a label was changed) every document of the file is read, as is every one whose path does not name
a pod.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logserver.decode.distinct import Codes, Combined, combined, mapped

Rows = npt.NDArray[np.int64]

# What the documents of these rows say: a row for each, columns as in Metadata.
Ask = Callable[[Rows], pa.Table]

NO_LABELS = "{}"


class Metadata(NamedTuple):
    """What a document says of who printed its line; `labels` is the text of a JSON object, its keys sorted.

    `doubt` is not empty where the metadata are no object.
    """

    host: str
    container_id: str
    namespace: str
    pod: str
    container: str
    node: str
    labels: str
    doubt: str


def sorted_labels(text: str) -> str:
    """Return a JSON object's text with its keys sorted, also those of objects in it; `{}` for anything else."""
    try:
        labels = _LABELS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return NO_LABELS
    return msgspec.json.encode(labels, order="sorted").decode()


def read_metadata(files: Combined, of_pods: Sequence[bool], ask: Ask) -> tuple[Codes, list[Metadata]]:
    """Return for each row which of the metadata it has; `of_pods` says which files have a path that names a pod."""
    rows = len(files.codes)
    if not rows:
        return np.zeros(0, dtype=np.int64), []
    firsts, lasts = _ends(files)
    shared = np.array(of_pods, dtype=bool)
    read = _Read(rows, ask)
    read.more(np.concatenate([firsts[shared], lasts[shared], np.flatnonzero(~shared[files.codes])]))
    differ = shared & (read.codes[firsts] != read.codes[lasts])
    read.more(np.flatnonzero(differ[files.codes]))
    codes = np.where(read.codes < 0, read.codes[firsts][files.codes], read.codes)
    return codes, list(read.places)


class _Read:
    """The metadata of the rows read so far; the code of any other row is negative."""

    def __init__(self, rows: int, ask: Ask) -> None:
        self.codes: Codes = np.full(rows, -1, dtype=np.int64)
        self.places: dict[Metadata, int] = {}
        self._ask = ask

    def more(self, rows: Rows) -> None:
        rows = np.unique(rows[self.codes[rows] < 0])
        if not len(rows):
            return
        said = self._ask(rows)
        labels = pa.chunked_array([mapped(said["labels"], sorted_labels)])
        found = combined([labels if name == "labels" else said[name] for name in Metadata._fields])
        places = [self.places.setdefault(Metadata(*values), len(self.places)) for values in found.values]
        self.codes[rows] = np.array(places, dtype=np.int64)[found.codes]


def _ends(files: Combined) -> tuple[Rows, Rows]:
    """Return the first and the last row of each file."""
    rows = np.arange(len(files.codes))
    firsts, lasts = np.zeros((2, len(files.values)), dtype=np.int64)
    firsts[files.codes[::-1]] = rows[::-1]
    lasts[files.codes] = rows
    return firsts, lasts


_LABELS = msgspec.json.Decoder(dict[str, object])
