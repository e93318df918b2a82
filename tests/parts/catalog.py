"""All parts by name, in the order of their installation: the quick ones first, the long build last."""

from __future__ import annotations

from collections.abc import Callable

from tests.parts import addresses, axe, crds, dubbo, hdfs, kafka, kubernetes_build, kustomize, model_servers, zookeeper
from tests.parts.chromium import chromium
from tests.parts.filebeat import install_filebeat
from tests.parts.ingress_nginx import install_ingress_nginx
from tests.parts.install import Part, Say, install
from tests.parts.nginx import nginx_binary
from tests.parts.prometheus import programs


def _folder(part: Part) -> Callable[[Say], str]:
    return lambda say: str(install(part, say))


def _addresses(_: Say) -> str:
    addresses.make_local()
    return f"{addresses.BLOCK} on loopback"


INSTALLERS: dict[str, Callable[[Say], str]] = {
    "kafka": _folder(kafka.PART),
    "hdfs": _folder(hdfs.PART),
    "filebeat": lambda say: str(install_filebeat(say)),
    "zookeeper": _folder(zookeeper.PART),
    **{f"dubbo-{version}": _folder(part) for version, part in dubbo.PARTS.items()},
    "addresses": _addresses,
    "prometheus": lambda say: programs(say)["prometheus"],
    "nginx": nginx_binary,
    "chromium": lambda say: chromium(say).browser,
    "axe-core": _folder(axe.PART),
    "seldon-core": _folder(model_servers.SELDON),
    "mlserver": _folder(model_servers.MLSERVER),
    "crds": _folder(crds.PART),
    "kustomize": _folder(kustomize.PART),
    "etcd": lambda _: str(kubernetes_build.etcd_binary()),
    "kwok": _folder(kubernetes_build.KWOK),
    "ingress-nginx": lambda say: str(install_ingress_nginx(say)),
    "kubernetes": _folder(kubernetes_build.KUBERNETES),
}
"""Each installs one part, unless it is there, and returns where it is; raises Unavailable."""
