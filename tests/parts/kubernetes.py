"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, controller-manager, scheduler, kwok.

kwok plays the kubelets: scheduled pods become Running and Ready at once, without containers (https://kwok.sigs.k8s.io).
Who may do what is real: RBAC, service account keys, client certificates, a static token file for the control plane
itself. `token(user, groups)` is checked by an authentication webhook of the test run, so a new user needs no restart.
Pods get addresses that belong to this machine (see `tests.parts.addresses`).
"""

from __future__ import annotations

import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import yaml

from milepost.kube import KubeClient
from tests.parts.addresses import NODE_ADDRESS, POD_CIDR, make_local
from tests.parts.install import install, run
from tests.parts.kubernetes_build import KUBERNETES, KWOK, etcd_binary
from tests.parts.pki import Pki
from tests.parts.ports import free_port
from tests.parts.process import Process
from tests.parts.token_webhook import TokenWebhook

START_S = 120.0
ADMIN = ("admin", ("system:masters",))


class ControlPlane:
    """One cluster with its data in `folder`. The parts are processes that tests may stop, kill and freeze.

    `kwok_config` is a file of kwok's own objects (Stage, Metric, ClusterLogs...); the fast stages are the default.
    """

    def __init__(self, folder: Path, *, kwok_config: Path | None = None) -> None:
        programs, kwok = install(KUBERNETES), install(KWOK) / "kwok"
        etcd = etcd_binary()
        self._folder = folder
        self._etcdctl = etcd.with_name("etcdctl")
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self._port = free_port()
        self._admin_token = secrets.token_hex(16)
        self._webhook = TokenWebhook()
        folder.mkdir(parents=True, exist_ok=True)
        self.pki = Pki(folder / "pki")
        self._ca = self.pki.folder / "apiserver.crt"
        admin = folder / "admin.kubeconfig"
        self.etcd = self._process(etcd, *self._etcd_flags())
        self.apiserver = self._process(programs / "kube-apiserver", *self._apiserver_flags())
        self.controller_manager = self._process(
            programs / "kube-controller-manager",
            f"--kubeconfig={admin}",
            f"--service-account-private-key-file={folder / 'pki' / 'sa.key'}",
            f"--root-ca-file={self._ca}",
            "--leader-elect=false",
            "--secure-port=0",
            # On a machine too busy for kwok's heartbeats a node would be lost after 40 s, its pods unready for ever.
            "--node-monitor-grace-period=2h",
        )
        self.scheduler = self._process(
            programs / "kube-scheduler", f"--kubeconfig={admin}", "--leader-elect=false", "--secure-port=0"
        )
        stages = [f"--config={kwok_config}"] if kwok_config else [f"--config={self._empty('kwok.yaml')}"]
        self.kwok = self._process(
            kwok,
            f"--kubeconfig={admin}",
            "--manage-all-nodes",
            f"--cidr={POD_CIDR}",
            f"--node-ip={NODE_ADDRESS}",
            *stages,
        )

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> ControlPlane:
        """Start everything and wait until the API server is ready."""
        make_local()
        self.pki.make()
        user, groups = ADMIN
        (self._folder / "tokens.csv").write_text(f'{self._admin_token},{user},1,"{",".join(groups)}"\n')
        self._webhook.start(self._folder / "webhook.kubeconfig")
        self.etcd.start()
        self.start_apiserver()
        self._write_kubeconfig(self._folder / "admin.kubeconfig", ADMIN[0], self._admin_token)
        for process in (self.controller_manager, self.scheduler, self.kwok):
            process.start()
        return self

    def stop(self) -> None:
        """End everything; the data is of no use afterwards."""
        for process in (self.kwok, self.scheduler, self.controller_manager, self.apiserver, self.etcd):
            process.kill()
        self._webhook.stop()

    def start_apiserver(self) -> None:
        """Start the API server and wait until it is ready; its address and data stay the same."""
        self.apiserver.start()
        self.apiserver.wait_until(self._ready, "/readyz", START_S)

    def stop_apiserver(self) -> None:
        """Kill the API server: connections break, new ones are refused."""
        self.apiserver.kill()

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again."""
        self.stop_apiserver()
        self.start_apiserver()

    def expire_versions(self) -> None:
        """Make every resourceVersion and continue token given out so far too old: the server answers 410.

        The history in etcd is compacted away, and a restarted API server has forgotten its own.
        """
        endpoint = f"--endpoints={self._etcd_url}"
        status = run([str(self._etcdctl), endpoint, "get", "/", "--limit=1", "-w", "fields"])
        revision = next(line.split(":")[1].strip() for line in status.splitlines() if line.startswith('"Revision"'))
        run([str(self._etcdctl), endpoint, "compact", revision])
        self.restart_apiserver()

    def token(self, user: str, groups: Sequence[str] = ()) -> str:
        """Return a bearer token of this user; what the user may do is RBAC's to say."""
        return self._webhook.token(user, groups)

    def kubeconfig(self, user: str = ADMIN[0], groups: Sequence[str] = ADMIN[1]) -> Path:
        """Return a kubeconfig file whose context acts as this user."""
        path = self._folder / f"{user.replace(':', '-').replace('/', '-')}-{len(groups)}.kubeconfig"
        self._write_kubeconfig(path, user, self.token(user, groups))
        return path

    def client(self, user: str = ADMIN[0], groups: Sequence[str] = ADMIN[1]) -> KubeClient:
        """Return a client acting as this user; close it."""
        return KubeClient.load(self.kubeconfig(user, groups))

    def _process(self, program: Path, *flags: str) -> Process:
        return Process([program, *flags], log=self._folder / f"{program.name}.log")

    def _etcd_flags(self) -> list[str]:
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_flags(self) -> list[str]:
        pki = self.pki.folder
        return [
            f"--etcd-servers={self._etcd_url}",
            f"--cert-dir={pki}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            f"--authentication-token-webhook-config-file={self._folder / 'webhook.kubeconfig'}",
            "--authentication-token-webhook-version=v1",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'sa.key'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            # A pod may be made before the controller has made its namespace's service account.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _write_kubeconfig(self, path: Path, user: str, token: str) -> None:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self._ca)}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": "default"}}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))

    def _empty(self, name: str) -> Path:
        path = self._folder / name
        path.touch()
        return path

    def _ready(self) -> bool:
        if not self._ca.exists():
            return False
        try:
            context = ssl.create_default_context(cafile=str(self._ca))
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
