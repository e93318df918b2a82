"""Memory and time of a card go to the containers whose processes have them, and nothing goes missing."""

from __future__ import annotations

from exporter.gpu.account import CardSeconds
from exporter.gpu.attribute import Unattributed, attribute
from exporter.gpu.card import Card, CardReading
from exporter.gpu.cgroup import Owner
from exporter.page.observations import GpuUsage
from tests.exporter.sources.known import KnownContainers

A, B, LONE = "a" * 64, "b" * 64, "c" * 64
KNOWN = KnownContainers(
    [
        ("models", "fraud-0", "classifier", A, "uid-fraud"),
        ("models", "fraud-0", "sidecar", B, "uid-fraud"),
        ("models", "iris-0", "iris", LONE, "uid-iris"),
    ]
)
OWNERS = {
    1: Owner("uid-fraud", A),
    2: Owner("uid-fraud", A),
    3: Owner("uid-fraud", B),
    4: Owner("uid-iris", "d" * 64),  # an id that the kubelet has not reported yet
    5: Owner("uid-fraud", "e" * 64),  # the same, but the pod has two containers
    6: None,
    7: Owner("uid-gone", "f" * 64),
}
CARD = Card("GPU-1", 0)
S = 1_000_000


def _rows(usages: list[GpuUsage]) -> dict[str, tuple[float | None, float | None, float | None]]:
    return {one.subject.identity.container: (one.memory_bytes, one.utilisation, one.seconds) for one in usages}


def test_processes_of_a_container_are_added_up_and_a_lone_container_gets_its_pods_processes() -> None:
    reading = CardReading(CARD, {1: 100, 2: 50, 3: 7, 4: 9}, {1: 0.25, 2: 0.25, 4: 0.5}, 0, 10 * S)
    usages, left = attribute(reading, OWNERS, KNOWN, CardSeconds())
    assert _rows(usages) == {"classifier": (150, 0.5, 5.0), "sidecar": (7, 0.0, 0.0), "iris": (9, 0.5, 5.0)}
    assert left == Unattributed("GPU-1", 0, 0.0)


def test_what_no_known_container_owns_is_counted_apart() -> None:
    reading = CardReading(CARD, {5: 10, 6: 20, 7: 30, 8: None, 1: 1}, {6: 0.5}, 0, S)
    usages, left = attribute(reading, OWNERS, KNOWN, CardSeconds())
    assert _rows(usages) == {"classifier": (1, 0.0, 0.0)}
    assert left == Unattributed("GPU-1", 4, 60.0)


def test_a_container_whose_process_ended_keeps_its_seconds_and_holds_nothing() -> None:
    account = CardSeconds()
    attribute(CardReading(CARD, {1: 100}, {1: 1.0}, 0, 20 * S), OWNERS, KNOWN, account)
    usages, _ = attribute(CardReading(CARD, {}, {}, 20 * S, 40 * S), {}, KNOWN, account)
    assert _rows(usages) == {"classifier": (0.0, 0.0, 20.0)}
    gone, _ = attribute(CardReading(CARD, {}, {}, 40 * S, 41 * S), {}, KnownContainers([]), account)
    assert gone == []


def test_a_restarted_container_goes_on_counting_under_its_new_id() -> None:
    before = ("models", "fraud-0", "classifier", A, "uid-fraud")
    both = KnownContainers([before, (*before[:3], B, before[4])])
    account = CardSeconds()
    attribute(CardReading(CARD, {1: 100}, {1: 1.0}, 0, 5 * S), OWNERS, both, account)
    usages, _ = attribute(CardReading(CARD, {3: 60}, {3: 1.0}, 5 * S, 7 * S), OWNERS, both, account)
    assert _rows(usages) == {"classifier": (60, 1.0, 7.0)}


def test_where_the_driver_tells_no_shares_there_are_none_and_never_zeros() -> None:
    mig = Card("MIG-1", 0, mig="1g.10gb", parent="GPU-1")
    usages, left = attribute(CardReading(mig, {1: 100, 4: None}), OWNERS, KNOWN, CardSeconds())
    assert _rows(usages) == {"classifier": (100, None, None), "iris": (None, None, None)}
    assert left == Unattributed("MIG-1", 0, 0.0)
