"""How long rendering a fleet takes: `python -m tests.bench.deploy_render [models]`."""

from __future__ import annotations

import sys
import time

from deploy.render import render
from deploy.settings import Cluster
from deploy.spec import Autoscaling, Gpu, Limits, ModelSpec, Resources, RouteSpec
from deploy.spec.release import Release, Split

LIMIT_S = 2.0


def fleet(count: int) -> list[Release]:
    """Return releases of every third kind: a GPU share, an autoscaled one, a canary with limits."""
    return [_release(number) for number in range(count)]


def measure(count: int) -> tuple[float, int]:
    """Return (seconds, objects) of rendering that many models with all rules."""
    releases, cluster = fleet(count), Cluster(monitoring="servicemonitor")
    started = time.perf_counter()
    objects = sum(len(render(release, cluster)) for release in releases)
    return time.perf_counter() - started, objects


def _release(number: int) -> Release:
    base = ModelSpec(name=f"model-{number}", namespace="models", framework="tensorflow", model_uri=f"gs://m/{number}")
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    if number % 3 == 0:
        return Release(stable=ModelSpec(**fields | {"gpu": Gpu(cores=30, memory_mib=4096)}))
    if number % 3 == 1:
        scaling = Autoscaling(min_replicas=2, max_replicas=8, cpu_percent=70)
        resources = Resources(requests={"cpu": "1", "memory": "2Gi"})
        return Release(stable=ModelSpec(**fields | {"autoscaling": scaling, "resources": resources}))
    route = RouteSpec(limits=Limits(requests_per_second=50))
    stable = ModelSpec(**fields | {"predictor": "r1", "route": route})
    candidate = ModelSpec(**fields | {"predictor": "r2", "route": route})
    return Release(stable=stable, candidate=candidate, split=Split(percent=10))


if __name__ == "__main__":
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds, rendered = measure(models)
    print(f"render {models} models: {seconds:.2f} s, {rendered} objects (limit {LIMIT_S} s for 1,000)")  # noqa: T201
    sys.exit(seconds > LIMIT_S * models / 1000)
