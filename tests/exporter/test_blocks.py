"""Blocks render the very lines that `Samples` would have kept, in a fraction of the memory."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cluster.podindex import PodIndex
from exporter.cluster.podlines import add_state
from exporter.cluster.pods import pod_entry
from exporter.history.observed import add_model
from exporter.objects import Pod
from exporter.page import families as fam
from exporter.page.blocks import Block, BlockBuilder, Shapes
from exporter.page.families import FAMILIES
from exporter.page.family import Scope
from exporter.page.samples import Samples
from exporter.page.sink import EXPORTER, Histogram, Sink, Subject, number
from milepost.identity import Identity
from tests.exporter.scene import crashing_pod, healthy_pod, model_page, pending_pod, sharing_pod
from tests.exporter.workload import ENGINE, running, seldon_pod


def container(pod: str = "pod-0") -> Subject:
    return Subject.of(Identity("models", "fraud", "default", pod, ENGINE, "n"), Scope.CONTAINER)


def by_family(block: Block) -> dict[str, str]:
    return {family.name: text for family in FAMILIES if (text := block.lines(family))}


def lines(samples: Samples) -> dict[str, str]:
    return {family.name: "".join(found) for family, found in samples.lines.items()}


@pytest.mark.parametrize("raw", [healthy_pod(), sharing_pod(), crashing_pod(), pending_pod()])
def test_a_pods_block_has_the_lines_of_its_samples(raw: dict[str, object]) -> None:
    pod = msgspec.json.decode(msgspec.json.encode(raw), type=Pod)
    plain, block = Samples(), BlockBuilder(Shapes())
    sinks: tuple[Sink, Sink] = (plain, block)
    for sink in sinks:
        add_state(sink, pod, pod_entry(pod))
    assert by_family(block.build()) == lines(plain)


@pytest.mark.parametrize("source", ["executor", "triton", "tfserving", "mlserver"])
def test_a_pages_block_has_the_lines_of_its_samples(source: str) -> None:
    plain, block = Samples(), BlockBuilder(Shapes())
    add_model(plain, model_page(source, container()))
    add_model(block, model_page(source, container()))
    assert by_family(block.build()) == lines(plain)


def test_things_of_one_kind_share_a_shape_and_it_goes_with_the_last_of_them() -> None:
    shapes = Shapes()
    blocks = []
    for pod in ("a", "b"):
        builder = BlockBuilder(shapes)
        add_model(builder, model_page("executor", container(pod)))
        blocks.append(builder.build())
    assert blocks[0].shape is blocks[1].shape
    assert len(shapes) == 1
    # At once, by counting: nothing refers in a circle. Collecting garbage here would charge this test with what others
    # have left unclosed.
    blocks.clear()
    assert len(shapes) == 0


def test_pods_of_one_kind_share_a_shape_whatever_their_names_addresses_and_images() -> None:
    pods = PodIndex(render=True)
    for number_ in range(20):
        pod = running(
            seldon_pod(f"m{number_}-0", model=f"m{number_}", image=f"registry/m:{number_}"), f"198.18.0.{number_}"
        )
        pods.apply(msgspec.json.encode(pod), deleted=False)
    assert len({id(entry.state.shape) for entry in pods if entry.state}) == 1


def test_lines_of_a_family_stand_together_however_they_came() -> None:
    plain, block = Samples(), BlockBuilder(Shapes())
    sinks: tuple[Sink, Sink] = (plain, block)
    for sink in sinks:
        for transport in ("rest", "grpc"):
            sink.add(fam.AT_MODEL.requests, container(), 1, "executor", transport, "2xx")
            duration = Histogram((0.1, 1.0), (1, 2, 3), 3.5)
            sink.add_histogram(fam.AT_MODEL.duration, container(), duration, "executor", transport)
    assert by_family(block.build()) == lines(plain)


def test_a_block_is_about_somebody() -> None:
    with pytest.raises(ValueError, match="about nobody"):
        BlockBuilder(Shapes()).add(fam.SCRAPES_SHARED, EXPORTER, 1)


def test_labels_that_a_family_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="not 1"):
        Samples().add(fam.AT_MODEL.requests, container(), 1, "executor")


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.1, "0.1"), (-2.0, "-2"), (3, "3"), (1e22, "1e+22"), (nan, "NaN"), (inf, "+Inf")]
)
def test_numbers_are_written_short(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False))
def test_a_number_reads_back_as_the_same(value: float) -> None:
    assert float(number(value)) == value
