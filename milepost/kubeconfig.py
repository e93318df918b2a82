"""Where the API server is and how to prove who we are: the official client's configuration, and nothing else of it.

The official `kubernetes` client knows kubeconfig files, contexts, in-cluster service accounts, exec plugins and token
expiry; its transport and models are not used. It is imported on the first load (0.7 s), so that a command which never
reaches a cluster does not pay for it.

Which configuration: the path given; else `KUBECONFIG`; else the service account of the pod we run in; else
`~/.kube/config`. `Credentials.reload` reads everything again, since a 401 can mean that a token file, a client
certificate or an exec plugin's answer was rotated behind us.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubeConfigError(Exception):
    """There is no usable configuration for reaching a cluster; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to open a connection: `base_url` has no trailing slash, `tls` is None for plain http."""

    base_url: str
    tls: ssl.SSLContext | None
    server_hostname: str | None
    proxy: str | None
    namespace: str


class Credentials:
    """The loaded configuration: the endpoint, and the Authorization header of the moment.

    Not safe for concurrent use; `milepost.kube` calls it from one thread at a time. All methods may block: they read
    files and may run an exec plugin.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, env: Mapping[str, str] | None = None) -> None:
        self._env = os.environ if env is None else env
        self._file = _choose_file(kubeconfig, self._env)
        self._context = context or None
        self.reload()

    def reload(self) -> None:
        """Read the configuration again and replace endpoint and credentials; raises KubeConfigError."""
        from kubernetes.client import Configuration  # noqa: PLC0415 - slow to import, needed only with a cluster
        from kubernetes.config import (  # noqa: PLC0415
            ConfigException,
            load_incluster_config,
            load_kube_config,
        )

        configuration = Configuration()
        source = str(self._file) if self._file else "the pod's service account"
        try:
            if self._file:
                load_kube_config(str(self._file), self._context, client_configuration=configuration)
            else:
                load_incluster_config(client_configuration=configuration)
            self.endpoint = _endpoint(configuration, self._namespace())
        except (ConfigException, OSError, ssl.SSLError, yaml.YAMLError) as error:
            raise KubeConfigError(f"cannot use {source}: {error}") from error
        self._configuration = configuration
        if not configuration.api_key and not configuration.cert_file:
            log.warning("%s holds no credential: requests to %s are anonymous", source, self.endpoint.base_url)

    def authorization(self) -> str | None:
        """Return the Authorization header's value now, renewed when it was about to expire; None without a token."""
        if not self._configuration.api_key:
            return None
        value: str | None = self._configuration.get_api_key_with_prefix("BearerToken")
        return value.strip() if value else None

    def _namespace(self) -> str:
        if not self._file:
            return _SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if _SERVICE_ACCOUNT_NAMESPACE.exists() else "default"
        from kubernetes.config import list_kube_config_contexts  # noqa: PLC0415

        contexts, active = list_kube_config_contexts(str(self._file))
        chosen = next((entry for entry in contexts if entry["name"] == self._context), active)
        return str(chosen["context"].get("namespace") or "default")


def _choose_file(kubeconfig: Path | None, env: Mapping[str, str]) -> Path | None:
    if kubeconfig is not None:
        return kubeconfig
    if env.get("KUBECONFIG"):
        return Path(env["KUBECONFIG"])
    if env.get("KUBERNETES_SERVICE_HOST"):
        return None
    default = Path("~/.kube/config").expanduser()
    if not default.exists():
        raise KubeConfigError(
            f"no cluster to talk to: no kubeconfig was given, KUBECONFIG is not set, {default} does not exist "
            "and this is no pod (KUBERNETES_SERVICE_HOST is not set)"
        )
    return default


def _endpoint(configuration: Any, namespace: str) -> Endpoint:
    base_url = str(configuration.host).rstrip("/")
    return Endpoint(
        base_url=base_url,
        tls=_tls(configuration) if base_url.startswith("https") else None,
        server_hostname=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
        namespace=namespace,
    )


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
