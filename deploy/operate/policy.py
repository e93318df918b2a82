"""Where the environment of a command or a server comes from: a file, the rules perhaps from the cluster itself.

Who the caller is, the API server says (`SelfSubjectReview`, Kubernetes 1.28 and later): what a variable claims counts
for the history where there is no environment, never for a policy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deploy.cluster import Cluster
from deploy.environments import Environment, parse
from deploy.environments.gate import Gate
from deploy.errors import Absent, Refusal, Refused, Unavailable
from deploy.objects import collection_path
from milepost.caller import Caller
from milepost.kube import KubeSettings
from milepost.settings import SettingsError, setting

POLICY_KEY = "environments.yaml"
WHO_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments, and the one that is meant."""

    file: str = setting("", "YAML file of environments and their policies; empty: there are none")
    name: str = setting("", "Which of them this command or server is about (--env in `milepost model`)")


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    groups: tuple[str, ...] = ()


class _ReviewStatus(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _User = _User()


class _Review(msgspec.Struct, frozen=True):
    status: _ReviewStatus = _ReviewStatus()


class _PolicyMap(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


def chosen(settings: Environments) -> Environment | None:
    """Return the environment that is meant, or None without a file. Raises SettingsError, Refused."""
    if not settings.file:
        if settings.name:
            raise SettingsError(f"environments.name is {settings.name!r}, but environments.file names no file of them")
        return None
    try:
        text = Path(settings.file).expanduser().read_text()
    except OSError as error:
        raise SettingsError(f"environments.file is {settings.file!r}: {error.strerror}") from error
    known = parse(text)
    if settings.name not in known:
        told = repr(settings.name) if settings.name else "not given"
        raise SettingsError(f"the environment (--env, environments.name) is {told}; there are {', '.join(known)}")
    return known[settings.name]


class Followed:
    """The environment of a server, read again when its file has changed: a mounted ConfigMap does, without a restart.

    A file that became unreadable, or whose policy is refused, refuses every change until it is mended.
    """

    def __init__(self, settings: Environments) -> None:
        self._settings = settings
        self._environment = chosen(settings)
        self._version = self._stamp()

    def now(self) -> Environment | None:
        """Return the environment as the file has it. Raises Unavailable, Refused."""
        try:
            version = self._stamp()
            if version != self._version:
                self._environment, self._version = chosen(self._settings), version
        except SettingsError as error:
            raise Unavailable(f"the policy of the environment cannot be had: {error}") from error
        return self._environment

    def _stamp(self) -> tuple[int, int]:
        if not self._settings.file:
            return 0, 0
        try:
            found = Path(self._settings.file).expanduser().stat()
        except OSError as error:
            raise SettingsError(f"environments.file is {self._settings.file!r}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_ino


def reached(kube: KubeSettings, environment: Environment | None) -> KubeSettings:
    """Return how to reach the environment's cluster: its own kubeconfig and context, where it has them."""
    if environment is None:
        return kube
    return dataclasses.replace(
        kube, config=environment.kubeconfig or kube.config, context=environment.context or kube.context
    )


async def in_force(environment: Environment, cluster: Cluster) -> Environment:
    """Return the environment with the rules of its cluster, if it says that they are kept there. Raises PlatformError.

    A policy that cannot be read refuses everything: nothing is allowed by an answer that is missing.
    """
    if not environment.policy_from:
        return environment
    namespace, _, name = environment.policy_from.partition("/")
    at = f"environments.{environment.name}.policyFrom"
    try:
        raw = await cluster.request("GET", f"{collection_path('v1', 'configmaps', namespace)}/{name}")
    except Absent as error:
        raise Refused([Refusal(at, environment.policy_from, "there is no such ConfigMap in its cluster")]) from error
    text = msgspec.json.decode(raw, type=_PolicyMap).data.get(POLICY_KEY, "environments: {}")
    found = parse(text).get(environment.name)
    if found is None:
        raise Refused([Refusal(at, environment.policy_from, f"its {POLICY_KEY} has no entry {environment.name}")])
    namespaces = found.namespaces or environment.namespaces
    return msgspec.structs.replace(
        environment, who=found.who, limits=found.limits, approvals=found.approvals, namespaces=namespaces
    )


async def gate_of(environment: Environment | None, cluster: Cluster) -> Gate | None:
    """Return the gate for whoever this client is; None without an environment. Raises PlatformError."""
    if environment is None:
        return None
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await cluster.request("POST", WHO_PATH, body=msgspec.json.encode(body))
    user = msgspec.json.decode(answer, type=_Review).status.user_info
    return Gate(await in_force(environment, cluster), Caller(user.username, user.groups))
