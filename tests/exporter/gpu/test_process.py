"""Owners of processes are read from the host's /proc and remembered for (pid, start time) only."""

from __future__ import annotations

from pathlib import Path

from exporter.gpu.cgroup import Owner
from exporter.gpu.process import ProcessOwners
from tests.exporter.gpu.hostproc import add_process, end_process
from tests.exporter.gpu.test_cgroup import ID, OTHER, UID

PATH, OTHER_PATH = f"/kubepods/pod{UID}/{ID}", f"/kubepods/pod{UID}/{OTHER}"
OURS, OTHERS = Owner(UID, ID), Owner(UID, OTHER)


def test_a_process_is_owned_by_the_container_that_its_cgroup_names(tmp_path: Path) -> None:
    add_process(tmp_path, 7, cgroup=PATH, name="a) S (b")
    add_process(tmp_path, 8, cgroup="/system.slice/x.service")
    assert ProcessOwners(tmp_path).resolve([7, 8, 9]) == {7: OURS, 8: None, 9: None}


def test_a_pid_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    owners = ProcessOwners(tmp_path)
    add_process(tmp_path, 7, cgroup=PATH, start=100)
    assert owners.resolve([7]) == {7: OURS}
    add_process(tmp_path, 7, cgroup=OTHER_PATH, start=200)
    assert owners.resolve([7]) == {7: OTHERS}


def test_a_process_is_not_read_again_while_it_lives(tmp_path: Path) -> None:
    owners = ProcessOwners(tmp_path)
    add_process(tmp_path, 7, cgroup=PATH)
    owners.resolve([7])
    (tmp_path / "7" / "cgroup").unlink()
    assert owners.resolve([7]) == {7: OURS}


def test_a_process_that_has_just_ended_keeps_its_owner_for_as_long_as_the_driver_names_it(tmp_path: Path) -> None:
    owners = ProcessOwners(tmp_path)
    add_process(tmp_path, 7, cgroup=PATH)
    owners.resolve([7])
    end_process(tmp_path, 7)
    assert owners.resolve([7]) == {7: OURS}
    assert owners.resolve([]) == {}
    assert owners.resolve([7]) == {7: None}
