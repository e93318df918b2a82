"""`milepost preflight avx`: end with a code of its own when this CPU lacks what a model server was compiled for.

TensorFlow Serving on a CPU without AVX dies of SIGILL: exit code 132, no log line. Run before it as an init container,
this says it in words: one line on stdout and in the container's termination message, and exit code 86, which no shell
and no signal uses. Names are those of node-feature-discovery's `cpu-cpuid` labels; the kernel's names differ for some
(`FMA3` is `fma` in /proc/cpuinfo).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

from milepost.termination import TERMINATION_LOG, leave

EXIT_MISSING = 86
EXIT_UNKNOWN = 87
CPUINFO = Path("/proc/cpuinfo")

KERNEL_NAMES = {
    "FMA3": "fma",
    "SSE4": "sse4_1",
    "SSE42": "sse4_2",
    "SSE4.1": "sse4_1",
    "SSE4.2": "sse4_2",
    "AVX512VNNI": "avx512_vnni",
    "AVX512BF16": "avx512_bf16",
    "AVX512FP16": "avx512_fp16",
    "AVXVNNI": "avx_vnni",
    "AMXTILE": "amx_tile",
    "AMXINT8": "amx_int8",
    "AMXBF16": "amx_bf16",
}


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the flags that every CPU of this machine has (a pod may run on any of them); empty when none is listed."""
    listed = re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return frozenset.intersection(*(frozenset(line.split()) for line in listed)) if listed else frozenset()


def missing(features: Iterable[str], flags: frozenset[str]) -> list[str]:
    """Return the features that are not among the kernel's flags, in the order given."""
    return [name for name in features if KERNEL_NAMES.get(name.upper(), name.lower()) not in flags]


@click.group()
def preflight() -> None:
    """Check what a model server needs of its node before it starts."""


@preflight.command()
@click.option(
    "--feature", "features", multiple=True, default=("AVX2",), show_default=True, help="A CPU feature needed."
)
@click.option("--cpuinfo", type=click.Path(path_type=Path), default=CPUINFO, show_default=True)
@click.option("--termination-log", type=click.Path(path_type=Path), default=TERMINATION_LOG, show_default=True)
def avx(features: tuple[str, ...], cpuinfo: Path, termination_log: Path) -> None:
    """Exit 86 when the CPU lacks a feature, 87 when that cannot be told."""
    try:
        flags = cpu_flags(cpuinfo.read_text())
    except OSError as error:
        _end(f"CPU features unknown: {cpuinfo} cannot be read: {error.strerror}", EXIT_UNKNOWN, termination_log)
    if not flags:
        _end(f"CPU features unknown: {cpuinfo} lists no flags", EXIT_UNKNOWN, termination_log)
    lacking = missing(features, flags)
    if lacking:
        message = (
            f"this node's CPU lacks {', '.join(lacking)}: the server would die of an illegal instruction (exit code "
            "132). Schedule it on nodes that have it (node-feature-discovery), or give the virtual machine's CPU model"
        )
        _end(message, EXIT_MISSING, termination_log)
    click.echo(f"this node's CPU has {', '.join(features)}")


def _end(message: str, code: int, termination_log: Path) -> None:
    click.echo(message)
    leave(message, termination_log)
    raise SystemExit(code)
