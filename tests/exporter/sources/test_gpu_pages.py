"""GpuManager's and dcgm-exporter's pages in base units, without totals, sentinels and borrowed figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.gpu.card import Card
from exporter.page.families import (
    GPU_CARD_ENERGY,
    GPU_CARD_MEMORY_USED,
    GPU_CARD_POWER,
    GPU_CARD_TEMPERATURE,
    GPU_CARD_UTILISATION,
)
from exporter.page.observations import GpuUsage
from exporter.page.scan import PageError
from exporter.sources import dcgm, gpumanager
from tests.exporter.sources.known import KnownContainers

PAGES = Path(__file__).parent / "pages"
MIB = 1 << 20
GPU_0, GPU_1 = "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52", "GPU-11111111-d9cf-fef3-62e9-d92044ab6e52"
CARDS = [Card(GPU_0, 0, pci_bus_id="00000000:00:08.0"), Card(GPU_1, 1, pci_bus_id="00000000:00:09.0")]


@pytest.fixture
def known() -> KnownContainers:
    pods = {"fraud-0": "classifier", "iris-0": "iris", "zero-0": "zero"}
    return KnownContainers(("models", pod, container, pod, pod) for pod, container in pods.items())


def _rows(usages: tuple[GpuUsage, ...] | list[GpuUsage]) -> list[tuple[str, str, float | None, float | None]]:
    return [(one.subject.identity.container, one.gpu, one.utilisation, one.memory_bytes) for one in usages]


def _gpumanager(cards: list[Card], known: KnownContainers, usage: bytes = b"") -> gpumanager.Report:
    rows = gpumanager.parse_metric((PAGES / "gpumanager.txt").read_bytes())
    return gpumanager.observed(rows, gpumanager.parse_usage(usage) if usage else [], cards, known)


def test_gpumanager_is_read_as_ratios_and_bytes_by_card_and_never_as_a_total(known: KnownContainers) -> None:
    assert _rows(_gpumanager(CARDS, known).usages) == [
        ("classifier", GPU_0, 0.37, 1024.0 * MIB),
        ("classifier", GPU_1, 0.8, 512.0 * MIB),
        ("zero", GPU_0, 0.0, 0.0),
    ]


def test_without_nvml_a_card_has_the_bus_id_that_usage_gives_and_else_its_number(known: KnownContainers) -> None:
    usage = (PAGES / "gpumanager-usage.json").read_bytes()
    assert [one.gpu for one in _gpumanager([], known, usage).usages] == [
        "00000000:00:08.0", "00000000:00:09.0", "00000000:00:08.0",
    ]  # fmt: skip
    assert [one.gpu for one in _gpumanager([], known).usages] == ["gpu0", "gpu1", "gpu0"]


def test_usage_gives_processes_and_fills_in_the_zeros_that_its_json_leaves_out() -> None:
    first, second, zero = gpumanager.parse_usage((PAGES / "gpumanager-usage.json").read_bytes())
    assert (first.pod_uid, first.container, first.index) == ("0e0f6a7b-0000-4000-8000-000000000001", "classifier", 0)
    assert (first.utilisation, first.memory_bytes, first.pids) == (0.37, 1024.0 * MIB, (4145,))
    assert (second.index, second.bus_id, second.card_bytes) == (1, "00000000:00:09.0", 16160.0 * MIB)
    assert (zero.utilisation, zero.memory_bytes, zero.pids) == (0.0, 0.0, ())


@pytest.mark.parametrize(
    "body", [b"", b"404 page not found", b'{"usage": 3}', b'{"usage":{"a":{"stat":{"c":{"dev":3}}}}}']
)
def test_a_usage_that_is_none_is_a_page_error(body: bytes) -> None:
    with pytest.raises(PageError, match="/usage"):
        gpumanager.parse_usage(body)


def test_a_silent_zero_is_where_nvml_sees_memory_and_gpumanager_nothing(known: KnownContainers) -> None:
    def nvml(pod: str, container: str, gpu: str, memory: float) -> GpuUsage:
        subject = known.by_name("models", pod, container)
        assert subject is not None
        return GpuUsage(subject, gpu, "nvml", 0.5, memory)

    ours = [
        nvml("fraud-0", "classifier", GPU_0, 1.5e9),  # both see it
        nvml("zero-0", "zero", GPU_0, 1e9),  # gpu0 is there, as 0
        nvml("iris-0", "iris", GPU_1, 2e9),  # only a total of 0 is there
    ]
    found = gpumanager.silent_zeros(ours, _gpumanager(CARDS, known))
    assert [(row.subject.identity.container, silent) for row, silent in found] == [
        ("classifier", False), ("zero", True), ("iris", True),
    ]  # fmt: skip
    idle = [nvml("zero-0", "zero", GPU_0, 0.0)]
    assert [silent for _, silent in gpumanager.silent_zeros(idle, _gpumanager(CARDS, known))] == [False]


def test_a_container_that_gpumanager_does_not_report_is_no_contradiction(known: KnownContainers) -> None:
    subject = known.by_name("models", "iris-0", "iris")
    assert subject is not None
    assert gpumanager.silent_zeros([GpuUsage(subject, GPU_0, "nvml", 0.5, 1e9)], gpumanager.Report((), ())) == []


def test_dcgm_cards_are_in_base_units_without_blank_values() -> None:
    figures = dcgm.card_figures(dcgm.parse((PAGES / "dcgm.txt").read_bytes()))
    assert figures == {
        (GPU_CARD_UTILISATION, GPU_0): 0.63,
        (GPU_CARD_UTILISATION, GPU_1): 0.5,
        (GPU_CARD_MEMORY_USED, GPU_0): 1024.0 * MIB,
        (GPU_CARD_MEMORY_USED, GPU_1): 2048.0 * MIB,
        (GPU_CARD_ENERGY, GPU_0): 2202.805,
        (GPU_CARD_POWER, GPU_1): 71.5,
        (GPU_CARD_TEMPERATURE, GPU_1): 41.0,
    }


def test_dcgm_figures_of_a_shared_card_are_a_containers_only_beside_a_row_of_the_card(known: KnownContainers) -> None:
    found = dcgm.observed(dcgm.parse((PAGES / "dcgm.txt").read_bytes()), known)
    assert _rows(found) == [
        ("classifier", GPU_0, 0.63, 1024.0 * MIB),  # alone on its card
        ("iris", GPU_1, 0.3, None),  # memory: two containers with the card's own figure
        ("zero", GPU_1, 0.2, None),
    ]


@pytest.mark.parametrize(
    "names", ["namespace {} pod {} container {}", "pod_namespace {} pod_name {} container_name {}"]
)
@pytest.mark.parametrize("host", ["Hostname", "hostname"])
def test_dcgm_containers_are_found_under_the_names_of_old_and_new_versions(
    known: KnownContainers, names: str, host: str
) -> None:
    words = names.format("models", "iris-0", "iris").split()
    labels = ",".join(f'{name}="{value}"' for name, value in zip(words[::2], words[1::2], strict=True))
    page = f'DCGM_FI_DEV_FB_USED{{gpu="1",UUID="{GPU_1}",{host}="n1",{labels}}} 2048\n'
    assert _rows(dcgm.observed(dcgm.parse(page.encode()), known)) == [("iris", GPU_1, None, 2048.0 * MIB)]


def test_dcgm_rows_of_a_mig_instance_are_left_out_for_they_carry_their_cards_uuid() -> None:
    page = f'DCGM_FI_DEV_FB_USED{{gpu="0",UUID="{GPU_0}",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"}} 9\n'
    assert dcgm.parse(page.encode()) == []


@pytest.mark.parametrize(
    ("value", "is_blank"),
    [(0.0, False), (1e12, False), (2147483632.0, True), (2147483640.0, True), (9223372036854775794.0, True),
     (140737488355328.0, True), (140737488355330.0, True), (2147483600.0, False)],
)  # fmt: skip
def test_dcgm_says_no_value_by_numbers(value: float, is_blank: bool) -> None:
    assert dcgm.blank(value) is is_blank
