"""What runs at one moment: the stable track, perhaps a candidate with its split, perhaps an old serving address.

The old address is what the model is being moved away from. A release is a value: every change makes a new one.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from deploy.spec import Label, ModelSpec, Part, Percent


class Split(Part, frozen=True, kw_only=True):
    """Which requests go to the candidate. A header wins over a cookie, a cookie over the percentage.

    Without `headerValue` the header's value is `always` or `never`; a cookie's always is. A model without a route
    (`exposure: none`) has its split in the predictors' `traffic` alone, which only Seldon's own Istio and Ambassador
    integrations follow.
    """

    percent: Percent = 0
    header: str | None = None
    header_value: str | None = None
    cookie: str | None = None


class External(Part, frozen=True, kw_only=True):
    """An old serving address, outside Seldon: a Service that exists, a DNS name, or addresses."""

    port: Annotated[int, Meta(ge=1, le=65_535)]
    service: Label | None = None
    hostname: str | None = None
    addresses: tuple[str, ...] = ()


class Release(Part, frozen=True, kw_only=True):
    """What runs and who gets the requests.

    Stable only: `split` absent. Canary: `candidate` and `split` (the candidate's predictor differs from the stable
    one's). Migration: `external` and `split`, where the split's percentage is the part that the model gets and the
    rest stays with the old address.

    What belongs to the model and not to one track comes from `stable`: route, network, shadow, and overrides of other
    kinds than `Predictor`; those of a candidate take effect when it becomes the stable one.
    """

    stable: ModelSpec
    candidate: ModelSpec | None = None
    external: External | None = None
    split: Split | None = None
