"""The rules of one server: what its container asks for and what it refers to.

Each is called with the path of the server in the spec (empty for the model's own), the server and the cluster. What the
API server would refuse only in the Deployment that Seldon makes of it is refused here, while somebody is looking.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from deploy.errors import Refusal
from deploy.objects import Body, allocation
from deploy.settings import Cluster
from deploy.spec import Gpu, Resources, Serving, Storage, gpu
from deploy.spec.frameworks import SERVERS, implementation_of
from deploy.spec.grammar import is_data_key, is_dns_name, is_image, quantity

ContainerRule = Callable[[str, Serving, Cluster], Iterator[Refusal]]

URI_SCHEMES = ("gs", "s3", "hdfs", "pvc", "oci", "http", "https", "azure", "file", "webhdfs", "swebhdfs")
REMOTES = ("gs", "s3", "azure")
"""Schemes that may also be written as rclone does, `gs:bucket/path`."""
WITHOUT_HOST = ("file", "hdfs")
STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
GPU_PREFIX = "tencent.com/"
FEATURES_MAX = 16
_URI = re.compile(r"(?P<scheme>[a-z0-9]+):(?P<slashes>//)?(?P<host>[^/\s]*)(?P<path>\S*)")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_FEATURE = re.compile(r"[A-Z0-9]+[A-Z0-9._]*")
_GPU_FIELDS = {gpu.CORE: "cores", gpu.MEMORY: "memoryMiB"}


def _image(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    if serving.image is not None and not is_image(serving.image):
        yield Refusal(f"{path}image", serving.image, "it is no reference to an image, such as registry.example/ner:3")


def _model_uri(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    if serving.model_uri is not None:
        yield from uri_refusals(f"{path}modelUri", serving.model_uri)
    elif SERVERS[serving.framework].needs_uri and implementation_of(serving):
        yield Refusal(f"{path}modelUri", None, f"framework {serving.framework} needs a modelUri")


def uri_refusals(field: str, uri: str) -> Iterator[Refusal]:
    """Yield what keeps a storage initializer from reading this address."""
    match = _URI.fullmatch(uri)
    scheme = match["scheme"] if match else ""
    if match is None or scheme not in URI_SCHEMES:
        yield Refusal(field, uri, f"it must start with one of {', '.join(URI_SCHEMES)} and ://")
    elif not match["slashes"] and scheme not in REMOTES:
        yield Refusal(field, uri, f"it must start with {scheme}://")
    elif scheme == "pvc" and not is_dns_name(match["host"]):
        yield Refusal(field, uri, "it must be pvc://CLAIM/PATH with the name of a PersistentVolumeClaim")
    elif not match["host"] and (scheme not in WITHOUT_HOST or len(match["path"]) < 2):
        yield Refusal(field, uri, f"after {scheme}:{match['slashes'] or ''} there is no bucket, host or path")


def _storage(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    yield from storage_refusals(f"{path}storage", serving.storage)


def storage_refusals(field: str, storage: Storage) -> Iterator[Refusal]:
    """Yield what is wrong with how a model is read."""
    for name, value in (("secret", storage.secret), ("serviceAccount", storage.service_account)):
        if value is not None and not is_dns_name(value):
            yield Refusal(f"{field}.{name}", value, "no object of Kubernetes can have this name")
    if storage.initializer_image is not None and not is_image(storage.initializer_image):
        yield Refusal(f"{field}.initializerImage", storage.initializer_image, "it is no reference to an image")


def _resources(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    yield from resource_refusals(f"{path}resources", serving.resources)


def resource_refusals(field: str, resources: Resources) -> Iterator[Refusal]:
    """Yield what the API server would refuse in requests and limits, and GPU units, which are written as `gpu`."""
    for half, values in (("requests", resources.requests), ("limits", resources.limits)):
        for name, value in values.items():
            if name.startswith(GPU_PREFIX):
                yield Refusal(f"{field}.{half}[{name}]", value, "GPU shares and cards are written as `gpu`")
            elif name not in STANDARD_RESOURCES and not _exclusive(name):
                known = f"{', '.join(STANDARD_RESOURCES)}, or a device plugin's as in nvidia.com/gpu"
                yield Refusal(f"{field}.{half}[{name}]", value, f"there is no such resource; it is one of {known}")
            elif quantity(value) is None:
                yield Refusal(f"{field}.{half}[{name}]", value, "it must be a Kubernetes quantity such as 500m or 4Gi")
    for name, value in resources.requests.items():
        limit = resources.limits.get(name)
        asked, most = quantity(value), quantity(limit or "")
        if _exclusive(name) and asked is not None and asked != most:
            yield Refusal(f"{field}.requests[{name}]", value, f"the limit must be the same; it is {limit or 'not set'}")
        elif asked is not None and most is not None and asked > most:
            yield Refusal(f"{field}.requests[{name}]", value, f"more than its limit, {limit}")


def _exclusive(name: str) -> bool:
    """Whether it is of a kind that Kubernetes gives to one pod alone."""
    return "/" in name or name.startswith("hugepages-")


def _gpu(path: str, serving: Serving, cluster: Cluster) -> Iterator[Refusal]:
    asked = serving.gpu
    if asked is None:
        return
    shape = tuple(_gpu_shape(f"{path}gpu", asked))
    yield from shape
    if shape:
        return
    units = gpu.units(asked)
    env = frozenset([*serving.env, *serving.secret_env])
    card_mib = gpu.card_memory_mib(cluster.gpu_cards, asked.model, cluster.gpu_memory_mib)
    container = allocation.Asked(units, units, env, card_mib)
    values = {"cores": asked.cores, "memoryMiB": asked.memory_mib}
    for rule in allocation.broken(container):
        if rule.subject == allocation.LIBRARY_PATH:
            value = serving.env.get(rule.subject, "set")
            yield Refusal(f"{path}env[{rule.subject}]", value, rule.told(container))
        else:
            field = _GPU_FIELDS[rule.subject]
            yield Refusal(f"{path}gpu.{field}", values[field], rule.told(container))


def _gpu_shape(field: str, asked: Gpu) -> Iterator[Refusal]:
    """Yield what has no form in GpuManager's units."""
    if (asked.cards is None) == (asked.cores is None):
        rule = "write either `cores` (a share of one card, 1 to 99) or `cards` (whole ones)"
        yield Refusal(field, {"cores": asked.cores, "cards": asked.cards}, rule)
    if asked.cards is not None and asked.cards < 1:
        yield Refusal(f"{field}.cards", asked.cards, "at least one card")
    if asked.cores is not None and asked.cores < 1:
        yield Refusal(f"{field}.cores", asked.cores, "at least 1 hundredth of a card")
    if asked.cards is not None and asked.memory_mib is not None:
        rule = "a whole card is exclusive and its memory is not limited; leave memoryMiB out"
        yield Refusal(f"{field}.memoryMiB", asked.memory_mib, rule)
    if asked.memory_mib is not None and asked.memory_mib < 0:
        yield Refusal(f"{field}.memoryMiB", asked.memory_mib, "memory is not negative")
    if asked.cards is not None and asked.core_limit is not None:
        yield Refusal(f"{field}.coreLimit", asked.core_limit, "only a share can have a core limit")


def _environment(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    for name in [*serving.env, *serving.secret_env]:
        if not _ENV_NAME.fullmatch(name):
            yield Refusal(f"{path}env", name, "it is no name of an environment variable")
    for name, reference in serving.secret_env.items():
        if name in serving.env:
            yield Refusal(f"{path}secretEnv[{name}]", name, "the variable is in `env` as well")
        if not is_dns_name(reference.secret):
            yield Refusal(f"{path}secretEnv[{name}].secret", reference.secret, "no Secret can have this name")
        if not is_data_key(reference.key):
            yield Refusal(f"{path}secretEnv[{name}].key", reference.key, "no key of a Secret can have this name")


def _mounts(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    places = Counter(serving.mount_secrets.values())
    for secret, place in serving.mount_secrets.items():
        field = f"{path}mountSecrets[{secret}]"
        if not is_dns_name(secret):
            yield Refusal(field, secret, "no Secret can have this name")
        if not place.startswith("/") or place.startswith("/mnt/models") or ":" in place:
            yield Refusal(field, place, "it must be an absolute path outside /mnt/models, which is the model's")
        if places[place] > 1:
            yield Refusal(field, place, f"{places[place]} Secrets would be mounted there")


def _probes(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    probes = serving.probes
    if probes is None or probes.path is None:
        return
    if not probes.path.startswith("/"):
        yield Refusal(f"{path}probes.path", probes.path, "it must be an absolute path of the server, such as /ready")
    if probes.kind == "tcp":
        yield Refusal(f"{path}probes.path", probes.path, "a tcp probe asks for no path; leave it out")


def _features(path: str, serving: Serving, _: Cluster) -> Iterator[Refusal]:
    features = serving.cpu_features or ()
    for feature in features:
        if not _FEATURE.fullmatch(feature):
            rule = "a feature is named as in node-feature-discovery's cpu-cpuid labels: AVX2, AVX512F, FMA3"
            yield Refusal(f"{path}cpuFeatures", feature, rule)
    if len(features) > FEATURES_MAX:
        yield Refusal(f"{path}cpuFeatures", len(features), f"at most {FEATURES_MAX} features")


def pod_refusals(pods: Iterable[tuple[str, Body, Body]]) -> Iterator[Refusal]:
    """Yield what is wrong with the containers of rendered pods, for a patch may have made anything of them."""
    for field, _, pod in pods:
        for kind in ("initContainers", "containers"):
            for index, container in enumerate(pod.get(kind) or []):
                yield from _rendered(f"{field}.spec.{kind}[{index}]", container)


def _rendered(field: str, container: Body) -> Iterator[Refusal]:
    image = container.get("image")
    if image and not is_image(str(image)):
        yield Refusal(f"{field}.image", image, "it is no reference to an image")
    block = container.get("resources") or {}
    requests, limits = (
        {name: str(value) for name, value in (block.get(half) or {}).items() if not name.startswith(GPU_PREFIX)}
        for half in ("requests", "limits")
    )
    yield from resource_refusals(f"{field}.resources", Resources(requests=requests, limits=limits))
    places = Counter(mount.get("mountPath") for mount in container.get("volumeMounts") or [])
    for place, count in places.items():
        if count > 1:
            yield Refusal(f"{field}.volumeMounts", place, f"{count} volumes would be mounted there")


CONTAINER_RULES: Mapping[str, ContainerRule] = MappingProxyType(
    {
        "image": _image,
        "modelUri is readable": _model_uri,
        "storage": _storage,
        "resources": _resources,
        "gpu is a share or cards": _gpu,
        "environment": _environment,
        "mounts": _mounts,
        "probes": _probes,
        "cpu features": _features,
    }
)
