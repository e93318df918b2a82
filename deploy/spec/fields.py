"""What every field of a spec means: the descriptions of the JSON Schema, and so of editors and of the field reference.

By type and wire name; a type that inherits fields inherits their descriptions. `deploy.spec.file.json_schema` puts them
in, and a test holds that no field is without.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from types import MappingProxyType
from typing import Any

from deploy import spec

Schema = dict[str, Any]

DESCRIPTIONS: Mapping[type, Mapping[str, str]] = MappingProxyType(
    {
        spec.Resources: {
            "requests": 'What the scheduler reserves, such as `{cpu: "2", memory: 4Gi}`; never above a limit.',
            "limits": "What the container may not exceed; for a device plugin's resource, the same as its request.",
        },
        spec.Gpu: {
            "cores": "Hundredths of one card that the container shares, 1 to 99; a multiple of 100 is whole cards.",
            "memoryMiB": "Memory of the share in MiB, rounded up to GpuManager's blocks of 256 MiB; a share needs it.",
            "cards": "Whole cards, exclusive; their memory is not limited.",
            "coreLimit": "Most hundredths of the card that a share may take while the others leave it idle.",
            "model": "Kind of card, as in the node label `gaia.tencent.com/gpu-model`.",
        },
        spec.Probes: {
            "kind": "`tcp` opens the port, `http` asks `path`; default: http for prepackaged v2 servers, else tcp.",
            "path": "What an http probe asks for; default: v2's ready and live paths.",
            "startupSeconds": "How long loading may take; nothing kills the container before.",
            "periodSeconds": "How often it is asked once it has started.",
            "timeoutSeconds": "How long an answer may take.",
            "failures": "Failed answers in a row until it is restarted or gets no requests.",
        },
        spec.SecretKey: {"secret": "Name of the Secret.", "key": "Key in it."},
        spec.Storage: {
            "secret": "Secret whose keys become the initializer's environment (Seldon's `envSecretRefName`).",
            "serviceAccount": "ServiceAccount that carries credentials.",
            "initializerImage": "Image that is run as `IMAGE modelUri /mnt/models`; default: the cluster's.",
        },
        spec.Serving: {
            "framework": "What serves the model; `custom` is an own image or a `server` of seldon-config.",
            "server": "Own reusable server by its name in seldon-config, `LIGHTGBM_SERVER`.",
            "modelUri": "Where the model is: gs, s3, hdfs, pvc, oci, http(s), azure, file, (s)webhdfs. For TensorFlow "
            "the folder above the numbered versions.",
            "image": "Container image: an own server, or another one for the framework.",
            "command": "Entry point of the container.",
            "args": "Arguments of the container.",
            "parameters": "Parameters of the server, typed by their value (`signature_name: predict_images`).",
            "env": "Environment variables.",
            "secretEnv": "Environment variables from Secrets of the model's namespace.",
            "storage": "How `modelUri` is read.",
            "resources": "CPU, memory and device plugins' resources; GPU shares are `gpu`.",
            "gpu": "A share of a card, or whole cards, by GpuManager.",
            "probes": "How it is known that the server is up; null: Seldon's own probes.",
            "cpuFeatures": "CPU features the server needs, as node-feature-discovery names them; default: AVX2 for "
            "tensorflow, none for others.",
            "mountSecrets": "Secrets to mount, each with its absolute path.",
        },
        spec.Unit: {
            "name": "Name of the unit and of its container.",
            "type": "What it does with a request.",
            "builtin": "Performed by the orchestrator, without a container.",
            "ownPod": "Whether it gets a Deployment of its own instead of a container in the shared pod.",
            "children": "What it passes requests to; a router chooses one, a combiner takes all.",
        },
        spec.Shadow: {
            "predictor": "Name of the shadow's predictor.",
            "percent": "Part of the requests that is copied; ingress-nginx copies all or none.",
        },
        spec.Explainer: {
            "type": "Kind of Alibi explainer.",
            "modelUri": "Where the explainer is.",
            "parameters": "Its initial parameters.",
            "storage": "How `modelUri` is read.",
            "resources": "CPU and memory of its container.",
            "replicas": "Its pods; default: Seldon's.",
        },
        spec.Autoscaling: {
            "kind": "`hpa` by utilisation, `keda` by triggers.",
            "minReplicas": "Fewest pods; 0 is for keda alone.",
            "maxReplicas": "Most pods.",
            "cpuPercent": "CPU to aim at, in percent of the request.",
            "memoryPercent": "Memory to aim at, in percent of the request.",
            "triggers": "KEDA's triggers, each with `type` and `metadata`.",
        },
        spec.Disruption: {
            "minAvailable": "Pods that an eviction must leave, a number or a percentage.",
            "maxUnavailable": "Pods that an eviction may take, a number or a percentage.",
        },
        spec.Limits: {
            "requestsPerSecond": "Requests a second and client address.",
            "requestsPerMinute": "Requests a minute and client address.",
            "concurrency": "Connections at once and client address.",
            "burst": "How many times the rate may come at once; the controller's default is 5.",
            "allow": "Addresses and networks that may call at all; empty: everybody.",
        },
        spec.Timeouts: {
            "connectSeconds": "To connect to a pod; null: the controller's.",
            "requestSeconds": "For one request, at the route and in the orchestrator; null: theirs.",
        },
        spec.Toleration: {
            "key": "Key of the taint; without it `operator` must be Exists and all taints are tolerated.",
            "operator": "`Equal` (default) compares the value, `Exists` does not.",
            "value": "Value of the taint.",
            "effect": "NoSchedule, PreferNoSchedule or NoExecute; default: every effect.",
            "tolerationSeconds": "How long a NoExecute taint is tolerated.",
        },
        spec.RouteSpec: {
            "name": "Name of the Ingress or HTTPRoute; default: the model's.",
            "exposure": "Ingress class or Gateway inside or outside the company, or no route at all.",
            "host": "Host name; default: `<name>-<namespace>.<domain of the cluster>`.",
            "path": "Prefix of the paths that belong to the model.",
            "stripPath": "Whether `path` is cut off before the model sees it; Gateway API alone.",
            "tlsSecret": "Secret with the certificate of `host`; needed for gRPC through ingress-nginx.",
            "limits": "Limits of requests; ingress-nginx alone.",
            "timeouts": "How long a request may take.",
            "bodySize": "Largest request body, such as `8MiB`; default: the controller's, 1 MiB.",
        },
        spec.RequestLog: {"url": "Where CloudEvents are sent, http(s).", "mode": "What is sent."},
        spec.LogHints: {
            "enabled": "Whether Filebeat collects the pods' output.",
            "json": "Whether each line is a JSON object, whose keys become fields.",
            "multilinePattern": "What an entry's first line looks like (RE2); other lines belong to the one before.",
        },
        spec.Network: {
            "policy": "Whether a NetworkPolicy is rendered.",
            "allowNamespaces": "Further namespaces whose pods may call the model's pods directly.",
        },
        spec.Override: {
            "kind": "Kind of the rendered object, or `Predictor` for this track's part of the SeldonDeployment.",
            "patch": "A merge patch; a mapping over a list addresses items by name or index.",
            "name": "Name of the object, where several of the kind are rendered.",
        },
        spec.ModelSpec: {
            "apiVersion": "Version of this format.",
            "name": "Name of the model and of its SeldonDeployment.",
            "namespace": "Namespace it runs in.",
            "version": "Version for people; becomes the label `milepost.dev/version`.",
            "predictor": "Name of the predictor; with the model's name at most 62 characters.",
            "serviceName": "Name of the predictor's Service; default `<name>-<predictor>`, null: Seldon's choice.",
            "unit": "Name of the single unit and its container; default: the model's name.",
            "protocol": "What the model speaks; default: the first that its framework can.",
            "transport": "REST or gRPC.",
            "replicas": "Pods, without autoscaling.",
            "autoscaling": "HPA or KEDA; then `replicas` is not written.",
            "disruption": "PodDisruptionBudget.",
            "priority": "PriorityClass of the pods.",
            "graceSeconds": "From the end's announcement to SIGKILL; null: Seldon's 20 s.",
            "drainSeconds": "How long a pod serves on after it left the Service, before SIGTERM; null: Seldon's 10 s.",
            "cpuCheck": "How `cpuFeatures` are ensured; default: the cluster's setting.",
            "nodeSelector": "Labels of the nodes it may run on.",
            "tolerations": "Taints it may run beside.",
            "orchestrator": "Whether Seldon's orchestrator stands before the server; false: requests go to the server.",
            "orchestratorResources": "CPU and memory of the orchestrator.",
            "graph": "Several units instead of one server; servers are then written on the units.",
            "shadow": "A server that gets a copy of the requests.",
            "explainer": "An explainer beside the model.",
            "requestLog": "Sends requests or responses to a collector.",
            "route": "Where callers reach the model.",
            "logs": "What Filebeat is told; null: nothing.",
            "network": "Who may call the pods directly.",
            "labels": "Labels of the SeldonDeployment and its pods.",
            "annotations": "Annotations of the pods.",
            "overrides": "Patches for what no field says.",
        },
    }
)


def described(schema: Schema) -> Schema:
    """Return a JSON Schema of spec types with the description of every field."""
    definitions = {name: _with_descriptions(name, body) for name, body in schema["$defs"].items()}
    return schema | {"$defs": definitions}


def _with_descriptions(name: str, body: Schema) -> Schema:
    told: dict[str, str] = {}
    for kind in reversed(getattr(spec, name).__mro__):
        told |= DESCRIPTIONS.get(kind, {})
    properties = {
        field: node | ({"description": told[field]} if field in told else {})
        for field, node in body.get("properties", {}).items()
    }
    return body | {"description": cleandoc(body.get("description", "")), "properties": properties}
