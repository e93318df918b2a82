"""Who owns a process: the pod UID and container id in the text of `/proc/<pid>/cgroup`. A pure function.

Kubelets, runtimes and cgroup drivers write the path in many shapes; `tests/exporter/gpu/test_cgroup.py` has one line
for each. What they have in common is all that is used here: a part that begins with `pod` after a "/" or "-" holds the
pod's UID (with dashes, with underscores under systemd, or 32 hex digits of a static pod), and the first run of 64 hex
digits behind it is the container's id. Nested cgroups (a container that runs systemd or containers itself) come later
in the path and change nothing.

cgroup v1 has a line for each controller, some perhaps at the root; v2 has one. The first line that names an owner
counts. Sources: kubernetes `pkg/kubelet/cm/cgroup_manager_linux.go`, NVIDIA/dcgm-exporter
`internal/pkg/transformation/pidmapper_test.go`, tkestack/gpu-manager `pkg/runtime/runtime.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEX_8_4_4_4_12 = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_POD = re.compile(rf"(?<=[/-])pod(?P<uid>{_HEX_8_4_4_4_12}|[0-9a-f]{{32}})(?![0-9a-zA-Z_])")
_CONTAINER = re.compile(r"(?<![0-9a-zA-Z])(?<!conmon-)(?P<id>[0-9a-f]{64})(?![0-9a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Owner:
    """The pod UID as Kubernetes writes it and the container id without a scheme; either may be "" but not both."""

    pod_uid: str
    container_id: str


def owner(text: str) -> Owner | None:
    """Return the owner that `/proc/<pid>/cgroup` names, or None for a process outside of any container."""
    best: Owner | None = None
    for line in text.splitlines():
        found = _of_path(line.partition(":")[2].partition(":")[2])
        if found is not None and found.pod_uid and found.container_id:
            return found
        best = best or found
    return best


def _of_path(path: str) -> Owner | None:
    pod = _POD.search(path)
    container = _CONTAINER.search(path, pod.end() if pod else 0)
    if pod is None and container is None:
        return None
    uid = pod["uid"].replace("_", "-") if pod else ""
    return Owner(uid, container["id"] if container else "")
