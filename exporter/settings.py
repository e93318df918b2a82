"""Every setting of `milepost exporter`, in groups; see `milepost.settings` for how they are given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.cluster.podindex import Shard
from milepost.auth import AuthSettings
from milepost.kube import KubeSettings
from milepost.settings import SettingsError, setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """What this exporter is."""

    mode: str = setting(
        "cluster",
        "node: this node's containers and GPUs (DaemonSet); cluster: state, models and Ingresses (Deployment)",
        choices=("node", "cluster"),
    )
    node: str = setting("", "Name of this node (mode node); by default the variable NODE_NAME")
    host: str = setting("127.0.0.1", "Address to listen on")
    port: int = setting(9640, "Port to listen on; 0 takes a free one")
    connections_max: int = setting(256, "Most connections served at once; the next ones are answered 503")
    log_level: str = setting("info", "Least severity that is logged", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """One scrape and its page."""

    timeout: Seconds = setting(Seconds(9), "Longest a collection may take, whatever the scraper allows")
    margin: Seconds = setting(Seconds(0.5), "Time kept from the scraper's timeout for rendering and sending")
    series_max: int = setting(1_000_000, "Most series of a page; those of the last families are left out, and counted")
    gzip_level: int = setting(1, "How hard pages are compressed, 1 to 9")


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How the Kubernetes API is followed."""

    stale_max: Seconds = setting(Seconds(180), "State that the API has not confirmed for this long is not served")
    absent_retry: Seconds = setting(Seconds(60), "How often a resource the cluster does not have is looked for again")
    shard: str = setting("auto", "Our share of the pods when shards > 1, 0...; auto: the number that ends HOSTNAME")
    shards: int = setting(1, "How many cluster exporters share the pods between them")


@dataclass(frozen=True, slots=True)
class KubeletSettings:
    """The kubelet of this node (mode node)."""

    url: str = setting("", "Address of the kubelet; by default https://HOST_IP:10250, or the node's name")
    token_file: str = setting(
        "/var/run/secrets/kubernetes.io/serviceaccount/token", "Bearer token for the kubelet; empty: none"
    )
    ca_file: str = setting(
        "", "CA of the kubelet's certificate; empty: the service account's where there is one, else the system's"
    )
    insecure_skip_verify: bool = setting(False, "Accept any certificate (kubelets that sign their own)")
    cadvisor: bool = setting(True, "Read /metrics/cadvisor too: throttling, resident memory, OOM events")
    body_max: Bytes = setting(Bytes(64 << 20), "Largest page accepted")


@dataclass(frozen=True, slots=True)
class PagesSettings:
    """The pages of model servers, Ingress controllers and GPU exporters."""

    enabled: bool = setting(True, "Read the pages of model servers and Ingress controllers (mode cluster)")
    concurrency: int = setting(64, "Most pages open at once")
    timeout: Seconds = setting(Seconds(3), "Longest wait for one page")
    every: Seconds = setting(Seconds(15), "Read the page of every model server this often, in the background")
    body_max: Bytes = setting(Bytes(8 << 20), "Largest page accepted")
    series_max: int = setting(2000, "Most series taken from one page; a page that gives more counts as down")


@dataclass(frozen=True, slots=True)
class GpuSettings:
    """The GPUs of this node (mode node)."""

    nvml: str = setting(
        "auto",
        "Ask the NVIDIA driver; auto: where there is one, on: its absence is a failure",
        choices=("auto", "on", "off"),
    )
    proc: Path = setting(
        Path("/proc"), "The host's /proc, where the driver's process ids are looked up (hostPID: true)"
    )
    pages: bool = setting(True, "Read the pages of GpuManager and dcgm-exporter when they run on this node")


@dataclass(frozen=True, slots=True)
class UsageSettings:
    """Where CPU and memory come from in mode cluster."""

    metrics_api: bool = setting(True, "Read metrics.k8s.io")
    node_exporters: bool = setting(True, "Read the node exporters' pages for the JSON API (never for our own page)")


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """The figures kept in memory for the JSON API."""

    window: Seconds = setting(Seconds(900), "How far back")
    interval: Seconds = setting(Seconds(15), "Time between two points; without a scrape the exporter collects itself")
    pods_max: int = setting(20_000, "Most pods kept")
    models_max: int = setting(10_000, "Most models and predictors kept")


GROUPS: Mapping[str, type] = {
    "exporter": ExporterSettings,
    "scrape": ScrapeSettings,
    "watch": WatchSettings,
    "kubelet": KubeletSettings,
    "pages": PagesSettings,
    "gpu": GpuSettings,
    "usage": UsageSettings,
    "history": HistorySettings,
    "auth": AuthSettings,
    "kube": KubeSettings,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All groups."""

    exporter: ExporterSettings
    scrape: ScrapeSettings
    watch: WatchSettings
    kubelet: KubeletSettings
    pages: PagesSettings
    gpu: GpuSettings
    usage: UsageSettings
    history: HistorySettings
    auth: AuthSettings
    kube: KubeSettings


def node_name(settings: ExporterSettings, env: Mapping[str, str] = os.environ) -> str:
    """Return the name of this node. Raises SettingsError when nothing names it."""
    name = settings.node or env.get("NODE_NAME", "")
    if not name:
        raise SettingsError("exporter.mode is node, but neither exporter.node nor the variable NODE_NAME names it")
    return name


def shard_of(settings: WatchSettings, env: Mapping[str, str] = os.environ) -> Shard:
    """Return our shard. Raises SettingsError when it cannot be told or is none of the shards."""
    if settings.shards <= 1:
        return Shard()
    text = settings.shard
    if text == "auto":
        text = env.get("HOSTNAME", "").rpartition("-")[2]
    if not text.isdecimal() or int(text) >= settings.shards:
        raise SettingsError(f"watch.shard is {settings.shard!r} ({text!r}); it must be 0 to {settings.shards - 1}")
    return Shard(int(text), settings.shards)
