"""Every shape in which runtimes, cgroup drivers and cgroup versions write who owns a process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.gpu.cgroup import Owner, owner

UID = "0e0f6a7b-1d2c-4b3a-9f8e-7d6c5b4a3f2e"
UID_ = UID.replace("-", "_")
STATIC = "36b6d6be73b1065af369b3985edafa09"
ID = "9e07aa14c9a7ab1b5a7f3b6d2e1c0f9e8d7c6b5a493827160f1e2d3c4b5a6978"
OTHER = "f" * 64
OURS = Owner(UID, ID)

V1 = (
    "12:devices:{path}\n11:memory:{path}\n5:cpu,cpuacct:{path}\n1:name=systemd:{path}\n0::/system.slice/x.service\n"
)  # fmt: skip

PATHS: dict[str, tuple[str, Owner | None]] = {
    "cgroupfs, burstable": (f"/kubepods/burstable/pod{UID}/{ID}", OURS),
    "cgroupfs, best effort": (f"/kubepods/besteffort/pod{UID}/{ID}", OURS),
    "cgroupfs, guaranteed": (f"/kubepods/pod{UID}/{ID}", OURS),
    "cgroupfs, CRI-O": (f"/kubepods/besteffort/pod{UID}/crio-{ID}", OURS),
    "systemd, docker": (
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{ID}.scope", OURS,
    ),
    "systemd, containerd": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope", OURS,
    ),
    "systemd, containerd, guaranteed": (
        f"/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope", OURS,
    ),
    "systemd, CRI-O": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope", OURS,
    ),
    "systemd, CRI-O with a cgroup of the container's own": (
        f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container", OURS,
    ),
    "containerd without SystemdCgroup": (
        f"/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{ID}", OURS,
    ),
    "containerd without SystemdCgroup, at the root": (
        f"/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}", OURS,
    ),
    "kind": (
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
        f"kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope", OURS,
    ),
    "kubelet below another cgroup root": (f"/a/b/kubepods/burstable/pod{UID}/{ID}", OURS),
    "static pod, cgroupfs": (f"/kubepods/burstable/pod{STATIC}/{ID}", Owner(STATIC, ID)),
    "static pod, systemd": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{ID}.scope",
        Owner(STATIC, ID),
    ),
    "a container inside of the container": (f"/kubepods/pod{UID}/{ID}/docker/{OTHER}", OURS),
    "systemd inside of the container": (f"/kubepods/pod{UID}/{ID}/init.scope", OURS),
    "the pod's own cgroup": (f"/kubepods/burstable/pod{UID}", Owner(UID, "")),
    "the view from another cgroup namespace": (f"/../../kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope", OURS),
    "the view from a sibling": (f"/../cri-containerd-{ID}.scope", Owner("", ID)),
    "a container outside of Kubernetes": (f"/system.slice/docker-{ID}.scope", Owner("", ID)),
    "the runtime's own monitor": (f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{ID}.scope", Owner(UID, "")),
    "a service of the node": ("/system.slice/dcgm.service", None),
    "the root": ("/", None),
    "a user's session": ("/user.slice/user-1000.slice/session-2.scope", None),
    "a word that ends in pod": (f"/tripod{UID}/x", None),
    "a longer run of digits": (f"/kubepods/x/{ID}0", None),
}  # fmt: skip


@pytest.mark.parametrize("shape", PATHS)
def test_cgroup_v2(shape: str) -> None:
    path, expected = PATHS[shape]
    assert owner(f"0::{path}\n") == expected


@pytest.mark.parametrize("shape", PATHS)
def test_cgroup_v1(shape: str) -> None:
    path, expected = PATHS[shape]
    assert owner(V1.format(path=path)) == expected


def test_a_controller_at_the_root_does_not_hide_the_others() -> None:
    assert owner(f"13:rdma:/\n12:misc:/\n4:memory:/kubepods/pod{UID}/{ID}\n") == OURS


def test_the_line_with_the_container_wins_over_the_one_with_the_pod_alone() -> None:
    assert owner(f"2:cpu:/kubepods/pod{UID}\n1:memory:/kubepods/pod{UID}/{ID}\n") == OURS


@given(
    st.text() | st.lists(st.sampled_from([":", "/", "pod", UID, UID_, ID, STATIC, "-", ".slice", "\n"])).map("".join)
)
def test_any_text_has_an_owner_or_none(text: str) -> None:
    found = owner(text)
    assert found is None or found.pod_uid or found.container_id
