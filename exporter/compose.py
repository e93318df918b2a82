"""Builds the exporter of one mode from its settings: which sources it has and what they share."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from exporter.cluster import Cluster
from exporter.cluster.modellines import add_model_lines
from exporter.cluster.nodelines import add_node_lines
from exporter.cluster.podindex import PodIndex
from exporter.cluster.targets import INGRESS_SOURCE, PageTarget
from exporter.collector import Collection, Collector
from exporter.gpu.nvml import Nvml
from exporter.gpu.process import ProcessOwners
from exporter.gpu.source import NvmlSource, View
from exporter.history.ring import Ring
from exporter.page.family import Scope
from exporter.page.render import SeriesBound
from exporter.page.samples import Samples, Source
from exporter.page.sink import Subject
from exporter.read.fetch import Fetcher
from exporter.read.gpupages import DcgmSource, GpuManagerSource
from exporter.read.kubelet import KubeletAccess, KubeletSource
from exporter.read.metricsapi import MetricsApiSource
from exporter.read.modelpages import ModelPagesSource
from exporter.read.pages import IngressPagesSource, PageBounds
from exporter.read.peers import NodeExportersSource
from exporter.read.watching import KubernetesSource, Resource
from exporter.serving import Exporter, process_registry
from exporter.settings import KubeletSettings, PagesSettings, Settings, node_name, shard_of
from milepost.identity import Identity
from milepost.kube import KubeClient
from milepost.settings import SettingsError
from milepost.units import format_duration

KUBELET_PORT = 10250
SERVICE_ACCOUNT_CA = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
_KUBELET_CONNECTIONS = 4


async def build(settings: Settings, client: KubeClient, stack: AsyncExitStack, env: Mapping[str, str]) -> Exporter:
    """Return the exporter; what must be closed is left to `stack`. Raises SettingsError."""
    mode = _node if settings.exporter.mode == "node" else _cluster
    exporter = await mode(settings, client, stack, env)
    stack.push_async_callback(exporter.collector.close)
    return exporter


async def _node(settings: Settings, client: KubeClient, stack: AsyncExitStack, env: Mapping[str, str]) -> Exporter:
    node = node_name(settings.exporter, env)
    pods = PodIndex(render=False)
    of_node = {"fieldSelector": f"spec.nodeName={node}"}
    watched = Resource("pods", "/api/v1/pods", pods, of_node)
    kubernetes = _kubernetes(client, settings, (watched,), lambda _: None)
    tls = kubelet_tls(settings.kubelet)
    fetcher = await stack.enter_async_context(
        Fetcher(connections=_KUBELET_CONNECTIONS, body_max=settings.kubelet.body_max, tls=tls)
    )
    kubelet = KubeletSource(kubelet_access(settings.kubelet, node, env), fetcher, pods, node)
    gpus = await _gpu_sources(settings, pods, Subject.of(Identity(node=node), Scope.NODE), stack)
    return _exporter(settings, pods, None, kubernetes, [kubelet, *gpus])


async def _gpu_sources(settings: Settings, pods: PodIndex, node: Subject, stack: AsyncExitStack) -> list[Source]:
    sources: list[Source] = []
    nvml: NvmlSource | None = None
    if settings.gpu.nvml != "off":
        nvml = NvmlSource(Nvml, ProcessOwners(settings.gpu.proc), pods, node, required=settings.gpu.nvml == "on")
        stack.callback(nvml.close)
        sources.append(nvml)
    if settings.gpu.pages:
        pages = settings.pages
        fetcher = await stack.enter_async_context(Fetcher(connections=pages.concurrency, body_max=pages.body_max))
        bounds = PageBounds(pages.concurrency, pages.timeout, pages.series_max)
        sources += [
            GpuManagerSource(
                lambda: _gpu_pages(pods, "gpumanager"),
                fetcher,
                bounds,
                containers=pods,
                nvml=lambda: nvml.latest if nvml else View(),
            ),
            DcgmSource(lambda: _gpu_pages(pods, "dcgm"), fetcher, bounds, containers=pods, node=node),
        ]
    return sources


async def _cluster(settings: Settings, client: KubeClient, stack: AsyncExitStack, env: Mapping[str, str]) -> Exporter:
    pods = PodIndex(render=True, shard=shard_of(settings.watch, env))
    cluster = Cluster(pods)
    first = pods.shard.index == 0

    def render(out: Samples) -> None:
        pods.add_lines(out)
        if first:
            add_model_lines(out, cluster)
            add_node_lines(out, cluster)

    sources: list[Source] = [MetricsApiSource(client, pods)] if settings.usage.metrics_api else []
    pages = settings.pages
    fetcher = await stack.enter_async_context(
        Fetcher(connections=pages.concurrency, body_max=pages.body_max, keep=False)
    )
    bounds = PageBounds(pages.concurrency, pages.timeout, pages.series_max)
    if settings.usage.node_exporters:
        sources.append(NodeExportersSource(lambda: _node_exporter_pages(pods), fetcher, bounds, pods))
    sources += _page_sources(pages, pods, fetcher, bounds)
    return _exporter(settings, pods, cluster, _kubernetes(client, settings, _resources(cluster), render), sources)


def kubelet_access(settings: KubeletSettings, node: str, env: Mapping[str, str]) -> KubeletAccess:
    """Return where the kubelet is: the setting, else HOST_IP, else the node's name."""
    host = env.get("HOST_IP", "") or node
    url = settings.url or f"https://{f'[{host}]' if ':' in host else host}:{KUBELET_PORT}"
    return KubeletAccess(url.rstrip("/"), Path(settings.token_file) if settings.token_file else None, settings.cadvisor)


def kubelet_tls(settings: KubeletSettings) -> ssl.SSLContext:
    """Return how the kubelet's certificate is checked. Raises SettingsError."""
    ca_file = settings.ca_file or (str(SERVICE_ACCOUNT_CA) if SERVICE_ACCOUNT_CA.exists() else None)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kubelet.ca_file is {settings.ca_file!r}: {error}") from error
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _page_sources(pages: PagesSettings, pods: PodIndex, fetcher: Fetcher, bounds: PageBounds) -> list[Source]:
    if not pages.enabled:
        return []
    if pages.every <= 0:
        raise SettingsError(f"pages.every is {format_duration(pages.every)}; a turn takes more than no time")
    models = ModelPagesSource(lambda: _model_pages(pods), fetcher, bounds, pages.every)
    controllers = IngressPagesSource(lambda: _controller_pages(pods), fetcher, bounds)
    return [models, controllers] if pods.shard.index == 0 else [models]


def _resources(cluster: Cluster) -> tuple[Resource, ...]:
    return (
        Resource("pods", "/api/v1/pods", cluster.pods, {}),
        Resource("nodes", "/api/v1/nodes", cluster.nodes, {}),
        Resource("services", "/api/v1/services", cluster.services, {}),
        Resource("ingresses", "/apis/networking.k8s.io/v1/ingresses", cluster.ingresses, {}),
        Resource(
            "seldondeployments",
            "/apis/machinelearning.seldon.io/v1/seldondeployments",
            cluster.models,
            {},
            optional=True,
        ),
    )


def _kubernetes(
    client: KubeClient, settings: Settings, resources: tuple[Resource, ...], render: Callable[[Samples], None]
) -> KubernetesSource:
    watch = settings.watch
    return KubernetesSource(client, resources, render, stale_max_s=watch.stale_max, absent_retry_s=watch.absent_retry)


def _exporter(
    settings: Settings, pods: PodIndex, cluster: Cluster | None, kubernetes: KubernetesSource, sources: list[Source]
) -> Exporter:
    history = settings.history
    ring = Ring(
        window_s=history.window,
        interval_s=history.interval,
        pods_max=history.pods_max,
        models_max=history.models_max,
    )

    def remember(collection: Collection) -> None:
        ring.offer(time.time(), collection)

    return Exporter(
        mode=settings.exporter.mode,
        pods=pods,
        cluster=cluster,
        kubernetes=kubernetes,
        collector=Collector([kubernetes, *sources], on_collected=remember),
        ring=ring,
        bound=SeriesBound(settings.scrape.series_max),
        process=process_registry(),
        background=tuple(source for source in sources if isinstance(source, ModelPagesSource)),
    )


def _model_pages(pods: PodIndex) -> Iterator[PageTarget]:
    return (target for entry in pods.own() for target in entry.targets if target.about_models)


def _controller_pages(pods: PodIndex) -> Iterator[PageTarget]:
    return (target for entry in pods for target in entry.targets if target.source == INGRESS_SOURCE)


def _gpu_pages(pods: PodIndex, source: str) -> Iterator[PageTarget]:
    return (target for entry in pods for target in entry.targets if target.source == source)


def _node_exporter_pages(pods: PodIndex) -> Iterator[str]:
    return (entry.node_exporter_page for entry in pods if entry.node_exporter_page)
