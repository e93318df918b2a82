"""For any spec at all: it is refused with reasons, or everything rendered passes the rules of those who get it."""

from typing import Any

import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.adopt import adopt
from deploy.errors import Refused
from deploy.objects import KubeObject, allocation, to_yaml, webhook
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec import ModelSpec, Override
from deploy.spec.file import from_document, read_spec, write_spec
from tests.deploy.strategies import SPECS, sound_specs

QUICK = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def cluster(router: str) -> Cluster:
    return Cluster(router=router, servers=("LIGHTGBM_SERVER",), gpu_cards=("Tesla-T4=15109",))


def rendered(spec: ModelSpec, settings: Cluster) -> tuple[KubeObject, ...] | Refused:
    try:
        return render(spec, settings)
    except Refused as refused:
        return refused


@QUICK
@given(st.one_of(SPECS, sound_specs()), st.sampled_from(["nginx", "gateway"]))
def test_a_spec_is_refused_with_reasons_or_rendered_right(document: dict[str, Any], router: str) -> None:
    spec = from_document(document)
    objects = rendered(spec, cluster(router))
    if isinstance(objects, Refused):
        assert objects.refusals
        assert all(item.field and item.rule for item in objects.refusals)
        return
    body = objects[0].body
    assert list(webhook.refusals(body)) == []
    assert list(allocation.refusals(webhook.pods(body), cluster(router))) == []
    assert [item.body for item in objects] == list(yaml.safe_load_all(to_yaml(objects)))
    assert len({item.address for item in objects}) == len(objects)


@QUICK
@given(st.one_of(SPECS, sound_specs()))
def test_a_spec_survives_yaml(document: dict[str, Any]) -> None:
    spec = from_document(document)
    assert read_spec(write_spec(spec)) == spec


@QUICK
@given(st.one_of(SPECS, sound_specs()))
def test_what_was_rendered_is_adopted_to_the_same_object(document: dict[str, Any]) -> None:
    spec = from_document(document)
    objects = rendered(spec, cluster("nginx"))
    if isinstance(objects, Refused):
        return
    adopted = adopt(objects[0].body, cluster("nginx"))
    again = render(adopted.release, cluster("nginx"))[0].body
    assert msgspec.json.decode(msgspec.json.encode(again)) == msgspec.json.decode(msgspec.json.encode(adopted.normal))
    assert all(isinstance(item, Override) for item in adopted.release.stable.overrides)
