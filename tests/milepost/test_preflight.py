"""The CPU preflight: its exit codes, its message, and whose names it understands."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from milepost.preflight import EXIT_MISSING, EXIT_UNKNOWN, cpu_flags, missing, preflight

HASWELL = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu sse4_2 avx avx2 fma\n"
KVM64 = "processor\t: 0\nflags\t\t: fpu sse2\n"
MIXED = "flags\t: avx avx2\n\nflags\t: avx\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


@pytest.mark.parametrize(
    ("cpuinfo", "features", "lacking"),
    [
        (HASWELL, ["AVX2", "FMA3", "SSE4.2"], []),
        (HASWELL, ["AVX512F", "AVX"], ["AVX512F"]),
        (KVM64, ["AVX", "AVX2"], ["AVX", "AVX2"]),
        (MIXED, ["AVX", "AVX2"], ["AVX2"]),
        (ARM, ["AVX2"], ["AVX2"]),
    ],
)
def test_a_feature_counts_when_every_cpu_has_it(cpuinfo: str, features: list[str], lacking: list[str]) -> None:
    assert missing(features, cpu_flags(cpuinfo)) == lacking


def run(tmp_path: Path, cpuinfo: str | None, *features: str) -> tuple[int, str, str]:
    file, log = tmp_path / "cpuinfo", tmp_path / "termination-log"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    log.touch()
    flags = [f"--feature={feature}" for feature in features]
    result = CliRunner().invoke(preflight, ["avx", *flags, f"--cpuinfo={file}", f"--termination-log={log}"])
    return result.exit_code, result.output, log.read_text()


def test_a_fit_cpu_passes_and_leaves_no_termination_message(tmp_path: Path) -> None:
    assert run(tmp_path, HASWELL) == (0, "this node's CPU has AVX2\n", "")


def test_a_cpu_without_the_feature_ends_with_its_own_code_and_says_it_where_kubernetes_looks(tmp_path: Path) -> None:
    code, output, message = run(tmp_path, KVM64, "AVX2")
    assert code == EXIT_MISSING
    assert "lacks AVX2" in message
    assert output == message + "\n"


@pytest.mark.parametrize("cpuinfo", [None, "processor : 0\n"])
def test_unknown_is_another_code_than_missing(tmp_path: Path, cpuinfo: str | None) -> None:
    code, _, message = run(tmp_path, cpuinfo, "AVX2")
    assert code == EXIT_UNKNOWN != EXIT_MISSING
    assert "unknown" in message
