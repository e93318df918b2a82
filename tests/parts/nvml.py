"""A driver library for nodes without a card: the exporter's process loads it as it loads NVIDIA's.

It stands in for the card alone. What reads it is the real exporter through the real pynvml; on a machine with a card
`tests/gpu` does the same with NVIDIA's own library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.parts.install import run, tool

SOURCE = Path(__file__).with_suffix(".c")
UUID = "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"


class ScriptedDriver:
    """The library in a folder of its own, and the file that says which processes are on its one card."""

    def __init__(self, folder: Path) -> None:
        """Build it; raises Unavailable without a C compiler."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._script = folder / "processes.txt"
        library = folder / "libnvidia-ml.so.1"
        run([tool("cc", "a scripted GPU driver"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
             "-o", str(library), str(SOURCE)])  # fmt: skip
        self.set([])

    @property
    def env(self) -> Mapping[str, str]:
        """The variables of a process that shall find this driver."""
        return {"LD_LIBRARY_PATH": str(self._folder), "NVML_SCRIPT": str(self._script)}

    def set(self, processes: Iterable[tuple[int, int, int]]) -> None:
        """Say which processes there are: (pid, bytes of card memory, percent of the card's time)."""
        text = "".join(f"{pid} {size} {percent}\n" for pid, size, percent in processes)
        aside = self._script.with_suffix(".new")
        aside.write_text(text)
        aside.rename(self._script)
