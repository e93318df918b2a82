"""Parts are installed once and whole, and processes of a run do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import need
from tests.parts.install import Part, Say, Unavailable, debian, install, run
from tests.parts.ports import accepts, free_port
from tests.parts.process import Process, ProcessEnded, python

CODE = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def parts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "parts"
    monkeypatch.setenv("MILEPOST_PARTS", str(folder))
    return folder


def test_runs_at_the_same_time_share_one_installation() -> None:
    filled: list[Path] = []

    def fill(folder: Path, say: Say) -> None:
        time.sleep(0.2)
        (folder / "server").write_text("binary")
        filled.append(folder)

    part = Part("thing", "1", fill)
    said: list[str] = []
    threads = [threading.Thread(target=install, args=(part, said.append)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(filled) == 1
    assert (install(part) / "server").read_text() == "binary"
    assert any("waiting for another process" in line for line in said)


def test_a_failed_installation_leaves_nothing_that_looks_installed(parts_folder: Path) -> None:
    def fill(folder: Path, say: Say) -> None:
        (folder / "half").touch()
        run(["sh", "-c", "echo no space left; exit 3"])

    with pytest.raises(Unavailable, match=r"\(3\): no space left"):
        install(Part("thing", "1", fill))
    assert [path.name for path in parts_folder.iterdir()] == [".thing.lock"]


def test_a_missing_part_skips_with_its_reason_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise Unavailable("there is no java")

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no java"):
        need(missing)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="there is no java"):
        need(missing)


def test_a_program_that_cannot_be_installed_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="apt-get install no-such-package"):
        debian(["no-such-package"], ["no-such-program"])


def test_a_process_is_frozen_killed_and_started_again_on_its_port(tmp_path: Path) -> None:
    port = free_port()
    command = python("http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port))
    process = Process(command, log=tmp_path / "log").start()
    process.wait_port(port)
    process.pause()
    process.wait_until(lambda: _state(process.pid) == "T", "stopped state")
    process.resume()
    process.kill()
    assert (process.running, process.returncode, accepts(port)) == (False, -signal.SIGKILL, False)
    process.start().wait_port(port)
    process.stop()
    assert process.returncode == -signal.SIGTERM


def test_a_process_that_does_not_come_up_shows_its_output(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo the port is taken; exit 4"], log=tmp_path / "log").start()
    with pytest.raises(ProcessEnded, match=r"(?s)ended with 4 before.*the port is taken"):
        process.wait_line("ready", 10)


def test_the_servers_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from tests.parts.process import Process\n"
        f"process = Process(['sleep', '300'], log=pathlib.Path({str(tmp_path / 'log')!r})).start()\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CODE, capture_output=True, text=True, check=False)
    deadline = time.monotonic() + 10
    while _state(int(done.stdout)) not in ("", "Z"):
        assert time.monotonic() < deadline, "the server outlived its run"
        time.sleep(0.05)


def _state(pid: int) -> str:
    """Return the state letter of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
