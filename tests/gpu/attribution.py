"""Shows on a real NVIDIA GPU that two containers sharing a card each get their own memory and time.

Usage, from the repository's root, on a machine with a GPU: `python3 -m tests.gpu.attribution [--proc fake]`.
It needs Python 3.11 or later with nvidia-ml-py, and no network. Exits with 1 when a figure is wrong.

Two worker processes, each in the cgroup of another pod, share card 0. What the exporter's NVML source says of the pods
is held against what the workers know of themselves: the bytes they hold, and the seconds their kernels took. Where the
machine lets us make cgroups the workers are put into real ones (`/kubepods/burstable/pod<uid>/<container id>`) and the
source reads the machine's own /proc; otherwise, or with `--proc fake`, it reads a folder made to look like the /proc of
a host with systemd cgroups.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exporter.gpu.nvml import Nvml
from exporter.gpu.process import ProcessOwners
from exporter.gpu.source import NvmlSource
from exporter.page.family import Scope
from exporter.page.observations import GpuUsage
from exporter.page.sink import Subject
from milepost.identity import Identity
from tests.exporter.sources.known import KnownContainers

CGROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20
PHASE_S = 12.0
CONTEXT_MIB_MAX = 1024
"""A CUDA context holds memory besides what its program asks for: about 520 MiB on an H200."""


@dataclass(frozen=True)
class Pod:
    """A pod with one container that holds `memory_mib` of the card and alternates between busy and idle."""

    name: str
    container: str
    uid: str
    container_id: str
    memory_mib: int
    busy_ms: int
    idle_ms: int


# Periods that share no rhythm with each other or with the driver's sampling.
HEAVY = Pod("fraud-0", "classifier", "0e0f6a7b-1d2c-4b3a-9f8e-7d6c5b4a3f2e", "a1" * 32, 3072, 23, 14)
LIGHT = Pod("iris-0", "iris", "5a5b5c5d-1d2c-4b3a-9f8e-7d6c5b4a3f2e", "b2" * 32, 1024, 11, 37)


class Worker:
    """A running worker process; `running` are all that have not ended, to be killed when a check breaks off."""

    running: ClassVar[set[subprocess.Popen[str]]] = set()

    def __init__(self, memory_mib: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), str(memory_mib)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running.add(self.process)
        if self._line() != "ready":
            raise SystemExit("a worker could not take its memory; see its error above")

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self, pod: Pod, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{pod.busy_ms} {pod.idle_ms} {seconds}\n")
        self.process.stdin.flush()

    def busy_seconds(self) -> float:
        return float(self._line())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.running.discard(self.process)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class RealCgroups:
    """Puts processes into cgroups of this machine; the source reads /proc."""

    proc = Path("/proc")

    def __init__(self) -> None:
        self._made: list[Path] = []

    def put(self, worker: Worker, pod: Pod) -> str:
        path = CGROUPS / "kubepods" / "burstable" / f"pod{pod.uid}" / pod.container_id
        for folder in (*reversed(path.relative_to(CGROUPS).parents[:-1]), path.relative_to(CGROUPS)):
            if not (CGROUPS / folder).exists():
                (CGROUPS / folder).mkdir()
                self._made.append(CGROUPS / folder)
        (path / "cgroup.procs").write_text(str(worker.pid))
        return Path(f"/proc/{worker.pid}/cgroup").read_text().strip()

    def clean(self) -> None:
        for process in Worker.running:
            process.kill()
            process.wait()
        for folder in reversed(self._made):
            folder.rmdir()


class FakeCgroups:
    """Leaves processes where they are and tells the source otherwise, below a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.proc = root

    def put(self, worker: Worker, pod: Pod) -> str:
        folder = self.proc / str(worker.pid)
        folder.mkdir()
        slices = f"kubepods-burstable-pod{pod.uid.replace('-', '_')}.slice/cri-containerd-{pod.container_id}.scope"
        line = f"0::/kubepods.slice/kubepods-burstable.slice/{slices}"
        (folder / "cgroup").write_text(f"{line}\n")
        (folder / "stat").write_text(Path(f"/proc/{worker.pid}/stat").read_text())
        return line

    def clean(self) -> None:
        for process in Worker.running:
            process.kill()


@contextmanager
def cgroups(kind: str) -> Iterator[RealCgroups | FakeCgroups]:
    """Give real cgroups where they can be made, unless `kind` is "fake"."""
    probe = CGROUPS / "milepost-probe"
    try:
        if kind == "fake":
            raise PermissionError
        probe.mkdir()
        probe.rmdir()
    except OSError:
        with tempfile.TemporaryDirectory() as folder:
            yield FakeCgroups(Path(folder))
    else:
        real = RealCgroups()
        try:
            yield real
        finally:
            real.clean()


class Check:
    """Collects from the source once a second, and compares."""

    def __init__(self, source: NvmlSource) -> None:
        self._source = source
        self.failures: list[str] = []
        self.costs_ms: list[float] = []
        self.card_busy: list[float] = []

    async def reading(self) -> dict[str, GpuUsage]:
        """Return the usage by pod."""
        started = time.perf_counter()
        result = await self._source.collect(asyncio.get_running_loop().time() + 5)
        self.costs_ms.append((time.perf_counter() - started) * 1000)
        if result.error:
            raise SystemExit(f"the source is down: {result.error}: {result.error_detail}")
        self.card_busy.append(self._source.latest.cards[0].utilisation or 0.0)
        return {one.subject.identity.pod: one for one in self._source.latest.usages}

    async def during(self, seconds: float) -> dict[str, GpuUsage]:
        """Collect once a second for this long and return the last reading."""
        self.card_busy.clear()
        found = await self.reading()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(1)
            found = await self.reading()
        return found

    def within(self, what: str, value: float, low: float, high: float) -> None:
        verdict = "ok" if low <= value <= high else "WRONG"
        line = f"  {verdict:5} {what}: {value:.3f} (expected {low:.3f} to {high:.3f})"
        say(line)
        if verdict != "ok":
            self.failures.append(line)


def say(line: str) -> None:
    """Write a line at once: the reader waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def counted(usage: GpuUsage) -> float:
    return usage.seconds or 0.0


async def check_all(check: Check, groups: RealCgroups | FakeCgroups) -> None:
    """Go through the phases; each prints what it compares."""
    workers = {pod: Worker(pod.memory_mib) for pod in (HEAVY, LIGHT)}
    for pod, worker in workers.items():
        say(f"{pod.name}: pid {worker.pid} in {groups.put(worker, pod)}")

    say("memory, both idle")
    found = await check.during(3)
    for pod in workers:
        held = (found[pod.name].memory_bytes or 0) / MIB
        check.within(f"{pod.name} MiB", held, pod.memory_mib, pod.memory_mib + CONTEXT_MIB_MAX)
        check.within(f"{pod.name} share", found[pod.name].utilisation or 0.0, 0.0, 0.02)

    before = found
    for pod, other in ((HEAVY, LIGHT), (LIGHT, HEAVY)):
        say(f"{pod.name} alone is busy for {PHASE_S:.0f} s")
        workers[pod].start(pod, PHASE_S)
        found = await check.during(PHASE_S + 1)
        truth = workers[pod].busy_seconds()
        check.within(f"{pod.name} card-seconds", counted(found[pod.name]) - counted(before[pod.name]),
                     truth * 0.85 - 0.3, truth * 1.15 + 0.3)  # fmt: skip
        check.within(f"{other.name} card-seconds", counted(found[other.name]) - counted(before[other.name]), 0.0, 0.3)
        before = found

    say(f"both are busy for {PHASE_S:.0f} s")
    for pod, worker in workers.items():
        worker.start(pod, PHASE_S)
    found = await check.during(PHASE_S)
    card_s = sum(check.card_busy[1:]) / len(check.card_busy[1:]) * PHASE_S
    used = {pod.name: counted(found[pod.name]) - counted(before[pod.name]) for pod in workers}
    truths = {pod.name: worker.busy_seconds() for pod, worker in workers.items()}
    check.within("both together, against the card's own busy seconds", sum(used.values()), card_s - 1.5, card_s + 1.5)
    for name, truth in truths.items():
        # Kernels of both take turns on the card, so each has at most the time its kernels took, and not nothing.
        check.within(f"{name} card-seconds", used[name], 0.2 * truth, truth + 0.3)
    table(found)

    say(f"{HEAVY.name}'s process ends, and another one starts in the same container")
    workers[HEAVY].end()
    before = await check.during(2)
    check.within(f"{HEAVY.name} MiB", (before[HEAVY.name].memory_bytes or 0.0) / MIB, 0.0, 0.0)
    check.within(f"{HEAVY.name} card-seconds since", counted(before[HEAVY.name]) - counted(found[HEAVY.name]), 0.0, 1.5)
    second = Worker(512)
    groups.put(second, HEAVY)
    second.start(HEAVY, 5)
    found = await check.during(6)
    truth = second.busy_seconds()
    check.within(f"{HEAVY.name} MiB", (found[HEAVY.name].memory_bytes or 0) / MIB, 512, 512 + CONTEXT_MIB_MAX)
    check.within(f"{HEAVY.name} card-seconds", counted(found[HEAVY.name]) - counted(before[HEAVY.name]),
                 truth * 0.85 - 0.3, truth * 1.15 + 0.3)  # fmt: skip
    second.end()
    workers[LIGHT].end()


def table(found: dict[str, GpuUsage]) -> None:
    """Print what the source says, as the README shows it."""
    say("\n| pod | container | asked for | memory used | share of the card | card-seconds |")
    say("| --- | --- | --- | --- | --- | --- |")
    for pod in (HEAVY, LIGHT):
        one = found[pod.name]
        say(
            f"| {pod.name} | {pod.container} | {pod.memory_mib} MiB | {(one.memory_bytes or 0) / MIB:.0f} MiB "
            f"| {one.utilisation or 0:.2f} | {counted(one):.1f} |"
        )
    say("")


def main() -> None:
    """Run all phases and exit with 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proc", choices=("auto", "fake"), default="auto", help="whose /proc is read")
    arguments = parser.parse_args()
    known = KnownContainers(("models", pod.name, pod.container, pod.container_id, pod.uid) for pod in (HEAVY, LIGHT))
    with cgroups(arguments.proc) as groups:
        node = Subject.of(Identity(node="gpu-node"), Scope.NODE)
        source = NvmlSource(Nvml, ProcessOwners(groups.proc), known, node)
        check = Check(source)
        asyncio.run(check_all(check, groups))
        card = source.latest.cards[0]
        source.close()
    where = "cgroups of this machine" if groups.proc == Path("/proc") else "a /proc made for this"
    say(f"{card.product}, driver {card.driver}, {where}")
    say(f"a collection took {sum(check.costs_ms) / len(check.costs_ms):.1f} ms on average")
    if check.failures:
        raise SystemExit("WRONG:\n" + "\n".join(check.failures))
    say("all figures are right")


if __name__ == "__main__":
    main()
