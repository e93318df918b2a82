"""The real ingress-nginx controller, with its own template and its own Lua, on Debian's nginx.

Real: the controller (built from its Go module), the nginx.conf it renders, the dynamic configuration it posts, and
balancer.lua, which decides about canaries. Replaced: the module list at the template's top (Debian's nginx loads
modules), its `stream` block (Debian has no stream-lua; no TCP or UDP services, whose empty configuration a small sink
takes from the controller), and the small resty libraries of `tests/parts/lua`. The image has nginx 1.25, Debian 1.22.

The controller's paths are fixed (/etc/nginx, /etc/ingress-controller, /tmp/nginx), so each one runs in a mount
namespace of its own with folders of the test bound there: several can run side by side. That needs root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socketserver
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milepost.kube import KubeClient, KubeError, resource_path
from tests.parts.go import go_build, module_folder
from tests.parts.install import Part, Say, Unavailable, debian, install, tool
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, pod
from tests.parts.ports import free_ports, wait_refusing
from tests.parts.process import Process

MODULE = "k8s.io/ingress-nginx"
VERSION = "v0.0.0-20240708192948-52c50467d67d"
NAMESPACE = "ingress-nginx"
START_S = 60.0

_PACKAGES = (
    "nginx-light",
    "libnginx-mod-http-lua",
    "libnginx-mod-http-headers-more-filter",
    "lua-cjson",
    "lua-nginx-cookie",
    "lua-nginx-dns",
    "lua-resty-core",
    "lua-resty-lrucache",
)
_MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_headers_more_filter_module")
_MODULES_FOLDER = Path("/usr/lib/nginx/modules")
_LUA_FOLDER = Path("/usr/share/lua/5.1")
_LUA = Path(__file__).with_name("lua")
_BOUND = {"nginx": "/etc/nginx", "controller": "/etc/ingress-controller", "run": "/tmp/nginx", "log": "/var/log/nginx"}  # noqa: S108


def _fill(folder: Path, say: Say) -> None:
    source = module_folder(MODULE, VERSION)
    # Its own go.sum, since the checksum database has lost one of the modules that it names.
    sums = (source / "go.sum").read_text()
    go_build([f"{MODULE}/cmd/nginx"], folder, require={MODULE: VERSION}, go_sum=sums, say=say)
    (folder / "nginx").rename(folder / "nginx-ingress-controller")
    rootfs = folder / "rootfs"
    shutil.copytree(source / "rootfs" / "etc" / "nginx", rootfs)
    for path in (rootfs, *rootfs.rglob("*")):  # The module cache is read-only.
        path.chmod(0o755 if path.is_dir() else 0o644)


PART = Part("ingress-nginx", VERSION, _fill)


def install_ingress_nginx(say: Say = lambda _: None) -> Path:
    """Return the folder of the controller, with Debian's nginx and its Lua installed; raises Unavailable."""
    _nginx(say)
    if os.geteuid() != 0:
        raise Unavailable("ingress-nginx needs root: its paths are bound in a mount namespace")
    return install(PART, say)


def _nginx(say: Say = lambda _: None) -> str:
    modules = [_MODULES_FOLDER / f"{name}.so" for name in _MODULES]
    libraries = [_LUA_FOLDER / name for name in ("resty/core.lua", "resty/lrucache.lua", "nginx/cookie.lua")]
    return debian(_PACKAGES, ("nginx",), say, files=[*modules, *libraries])["nginx"]


class IngressNginx:
    """One controller; `http_port` serves its Ingresses, `metrics_url` its metrics. Its class is `class_name`."""

    def __init__(self, folder: Path, class_name: str = "nginx") -> None:
        self._part = install_ingress_nginx()
        self._nginx = _nginx()
        self._folder = folder
        self.class_name = class_name
        self.http_port, self.healthz_port, self._stream_port, *self._other_ports = free_ports(7)
        self.metrics_url = f"http://127.0.0.1:{self.healthz_port}/metrics"
        self.process: Process | None = None
        self._sink: socketserver.ThreadingTCPServer | None = None

    def start(self, control_plane: ControlPlane) -> int:
        """Start the controller of this cluster's Ingresses and wait until it is ready; return its HTTP port."""
        self._prepare_folders()
        asyncio.run(self._create_objects(control_plane))
        mounts = " && ".join(
            f"mkdir -p {target} && mount --bind {self._folder / name} {target}" for name, target in _BOUND.items()
        )
        controller = [str(self._part / "nginx-ingress-controller"), *self._flags(control_plane)]
        # A process namespace too: when the controller is killed, its nginx must not stay behind.
        unshare = [tool("unshare", "ingress-nginx"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.process = Process(
            [*unshare, "sh", "-c", f'{mounts} && exec "$@"', "sh", *controller],
            log=self._folder / "controller.log",
            env={
                "POD_NAME": self.class_name,
                "POD_NAMESPACE": NAMESPACE,
                "NGINX_BINARY": debian(_PACKAGES, ["nginx"])["nginx"],
            },
        )
        self._run(self.process)
        return self.http_port

    def revive(self) -> None:
        """Start it again when it has ended, as the kubelet would.

        This version reads a Service whose deletion it learns of only from a new list (the API server was away) as one
        of another type, and dies of it: store.go, the DeleteFunc of `serviceHandler`.
        """
        if self.process is not None and not self.process.running:
            wait_refusing(self.http_port, START_S)  # its nginx ends a moment after it
            self._run(self.process)

    def stop(self) -> None:
        """End it and its nginx."""
        if self.process is not None:
            self.process.kill()
        self._close_sink()

    def _run(self, process: Process) -> None:
        self._close_sink()
        process.start()
        # Before this line the controller insists that the port is free.
        process.wait_line("Starting NGINX process", START_S)
        self._sink = socketserver.ThreadingTCPServer(("127.0.0.1", self._stream_port), _Sink)
        threading.Thread(target=self._sink.serve_forever, daemon=True).start()
        process.wait_until(self._healthy, "/healthz", START_S)
        # Health is asked of the controller's own port; callers come to this one, where no host is known yet.
        process.wait_until(self._serves, f"answer on port {self.http_port}", START_S)

    def _close_sink(self) -> None:
        if self._sink is not None:
            self._sink.shutdown()
            self._sink.server_close()
            self._sink = None

    def state(self) -> str:
        """Return whether it runs and the ends of its logs, for the message of a test that got no answer."""
        running = self.process is not None and self.process.running
        ends = (f"{log.name} ends:\n{log.read_text(errors='replace')[-2000:]}" for log in self._logs() if log.exists())
        return "\n".join([f"the controller {'runs' if running else 'has ended'}", *ends])

    def _logs(self) -> tuple[Path, ...]:
        return self._folder / "controller.log", self._folder / "log" / "error.log"

    def nginx_conf(self) -> str:
        """Return the configuration that the controller has rendered."""
        return (self._folder / "nginx" / "nginx.conf").read_text()

    def _prepare_folders(self) -> None:
        for name in _BOUND:
            (self._folder / name).mkdir(parents=True)
        for name in ("auth", "geoip", "ssl", "telemetry"):
            (self._folder / "controller" / name).mkdir()
        nginx = self._folder / "nginx"
        shutil.copytree(self._part / "rootfs", nginx, dirs_exist_ok=True)
        shutil.copytree(_LUA, nginx / "lua", dirs_exist_ok=True)
        for name in ("mime.types", "fastcgi_params"):
            shutil.copy(Path("/etc/nginx") / name, nginx / name)
        template = nginx / "template" / "nginx.tmpl"
        template.write_text(adapted(template.read_text()))

    def _flags(self, control_plane: ControlPlane) -> list[str]:
        https, status, default, logger = self._other_ports
        return [
            f"--kubeconfig={control_plane.kubeconfig()}",
            f"--configmap={NAMESPACE}/{self.class_name}",
            f"--ingress-class={self.class_name}",
            f"--controller-class=k8s.io/{self.class_name}",
            f"--election-id={self.class_name}",
            f"--http-port={self.http_port}",
            f"--https-port={https}",
            f"--status-port={status}",
            f"--stream-port={self._stream_port}",
            f"--default-server-port={default}",
            f"--healthz-port={self.healthz_port}",
            "--healthz-host=127.0.0.1",
            f"--internal-logger-address=127.0.0.1:{logger}",
            "--profiling=false",
            "--publish-status-address=127.0.0.1",
            "--shutdown-grace-period=0",
            "--post-shutdown-grace-period=0",
            # balancer.lua misses a second change within the same second, and a change is posted after its reload: so
            # changes begin this far apart.
            "--sync-rate-limit=0.4",
        ]

    async def _create_objects(self, control_plane: ControlPlane) -> None:
        settings = {"bind-address": "127.0.0.1", "worker-processes": "1", "use-http2": "false"}
        ingress_class = {"metadata": {"name": self.class_name}, "spec": {"controller": f"k8s.io/{self.class_name}"}}
        config_map = {"metadata": {"name": self.class_name}, "data": settings}
        async with control_plane.client() as client:
            await _ensure(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": NAMESPACE}})
            await _ensure(client, resource_path("", "v1", "configmaps", namespace=NAMESPACE), config_map)
            # The controller reads its own pod, by the name in POD_NAME.
            await _ensure(client, resource_path("", "v1", "pods", namespace=NAMESPACE), pod(self.class_name))
            await _ensure(client, resource_path("networking.k8s.io", "v1", "ingressclasses"), ingress_class)

    def _healthy(self) -> bool:
        return _status(self.healthz_port, "/healthz") == 200

    def _serves(self) -> bool:
        return _status(self.http_port, "/") == 404


def _status(port: int, path: str) -> int:
    """Return the status that is answered there; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


class _Sink(socketserver.StreamRequestHandler):
    """Reads a connection to its end."""

    def handle(self) -> None:
        while self.rfile.read1(4096):
            pass


def adapted(template: str) -> str:
    """Return the controller's template for Debian's nginx: with its modules loaded and without the stream block."""
    start = template.index("\nstream {")
    end = template.index("\n}\n", start) + len("\n}\n")
    modules = "".join(f"load_module {_MODULES_FOLDER / name}.so;\n" for name in _MODULES)
    # Workers as root: the folders of a test are its user's alone.
    return f"user root;\n{modules}{template[:start]}\n{template[end:]}"


async def _ensure(client: KubeClient, path: str, item: Mapping[str, Any]) -> None:
    try:
        await create(client, path, item)
    except KubeError as error:
        if error.reason != "AlreadyExists":
            raise
