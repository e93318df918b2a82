"""MiB to GpuManager's blocks: never less than asked, never a whole block more."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.spec import Gpu
from deploy.spec.gpu import CORE, MEMORY, blocks, card_memory_mib, units


@settings(deadline=None)
@given(st.integers(0, 1_000_000))
def test_blocks_hold_the_memory_and_no_block_is_spare(mib: int) -> None:
    assert mib <= blocks(mib) * 256 < mib + 256


def test_memory_is_rounded_up_to_blocks() -> None:
    assert units(Gpu(cores=30, memory_mib=7500)) == {CORE: "30", MEMORY: "30"}
    assert units(Gpu(cores=30, memory_mib=257)) == {CORE: "30", MEMORY: "2"}
    assert units(Gpu(cards=2)) == {CORE: "200"}


def test_a_card_is_looked_up_by_its_model() -> None:
    cards = ("Tesla-T4=15109", "A100=40536")
    assert card_memory_mib(cards, "A100", 81_920) == 40_536
    assert card_memory_mib(cards, "H100", 81_920) == 81_920
    assert card_memory_mib((), None, 81_920) == 81_920
