"""From a target's page to traffic: which parser reads which source, and what the pod knows better than the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from exporter.page.observations import Traffic
from exporter.sources import executor, kserve, mlserver, tfserving, torchserve, triton
from exporter.sources.discovery import image_version

PARSERS: Mapping[str, Callable[[bytes], list[Traffic]]] = {
    "executor": executor.parse,
    "tfserving": tfserving.parse,
    "triton": triton.parse,
    "mlserver": mlserver.parse,
    "kserve": kserve.parse,
    "torchserve": torchserve.parse,
}
"""The sources with traffic to models. The wrapper's page has none (`wrapper.add_samples` reads what it has)."""


def read(source: str, page: bytes, images: Mapping[str, str]) -> list[Traffic]:
    """Return the traffic on a page; `images` maps the containers of the pod to their images. Raises PageError.

    The executor calls a unit by its container's name and its version by the image's tag, which it gets wrong for an
    image with a registry port; the pod has the image itself.
    """
    parser = PARSERS.get(source)
    found = parser(page) if parser else []
    if source != "executor":
        return found
    return [
        replace(one, version=image_version(images[one.unit])) if not one.version and one.unit in images else one
        for one in found
    ]
