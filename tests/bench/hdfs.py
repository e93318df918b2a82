"""A model from HDFS: `python -m tests.bench.hdfs [MiB]`, checked and unchecked, beside curl.

A real HDFS in a process beside it, which sends the bytes with the same cores. Each way downloads the same file in turn,
several times; printed are the median time, the least CPU time of the downloading process (HDFS's own not counted) and
the largest resident memory.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hdfs.command import environment
from tests.parts.hdfs import HdfsCluster
from tests.parts.install import tool

TIMES = 5
BLOCK_BYTES = 128 << 20
PATH = "/bench/model.bin"


def fill(hdfs: HdfsCluster, file: Path, size_mib: int) -> None:
    """Store a file of this size, by another process: what this one holds would count as its children's."""
    piece = random.Random(1).randbytes(1 << 20)
    with file.open("wb") as written:
        for _ in range(size_mib):
            written.write(piece)
    url = f"http://{hdfs.namenodes[0]}/webhdfs/v1{PATH}?op=CREATE&user.name=root&blocksize={BLOCK_BYTES}"
    subprocess.run([tool("curl", "the upload"), "-sfL", "-X", "PUT", "-T", str(file), url], check=True)


def measure(argv: list[str], settings: dict[str, object], target: Path) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and resident MiB of one run of a command."""
    shutil.rmtree(target, ignore_errors=True)
    started = time.perf_counter()
    process = subprocess.Popen(argv, env={**os.environ, **environment(settings)}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(size_mib: int) -> None:
    """Store the file, download it, print the table."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        hdfs = HdfsCluster(folder / "hdfs", datanodes=1).start()
        fill(hdfs, folder / "model.bin", size_mib)
        target = folder / "target"
        ours = [
            sys.executable,
            "-m",
            "milepost.cli",
            "hdfs-initializer",
            f"webhdfs://{hdfs.namenodes[0]}{PATH}",
            str(target),
        ]
        url = f"http://{hdfs.namenodes[0]}/webhdfs/v1{PATH}?op=OPEN&user.name=root"
        curl = [tool("curl", "the comparison"), "-sfL", "--create-dirs", "-o", str(target / "model.bin"), url]
        ways: dict[str, tuple[list[str], dict[str, object]]] = {
            "curl, unchecked": (curl, {}),
            "milepost, unchecked": (ours, {"checksum": "off"}),
            "milepost, checked": (ours, {"checksum": "require"}),
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for _ in range(TIMES):
            for name, (argv, settings) in ways.items():
                found[name].append(measure(argv, settings, target))
        hdfs.stop()
    print(f"{size_mib} MiB in one file; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # noqa: T201
    print("| way | time, median | CPU, least | MiB per CPU-second | resident, most |")  # noqa: T201
    for name, runs in found.items():
        cpu_s = min(run[1] for run in runs)
        time_s, resident = statistics.median(run[0] for run in runs), max(run[2] for run in runs)
        print(f"| {name} | {time_s:.2f} s | {cpu_s:.2f} s | {size_mib / cpu_s:.0f} | {resident:.0f} MiB |")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
