"""Downloads from a real HDFS: what arrives is what is there, and everything else is said."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.hdfs.command import content, run
from tests.parts.hdfs import BLOCK_BYTES, HdfsCluster

pytestmark = [pytest.mark.hdfs, pytest.mark.slow]

BYTES = random.Random(7).randbytes(3 * BLOCK_BYTES + 777)
MODEL = {
    "1/saved_model.pb": BYTES[:70_000],
    "1/variables/variables.data-00000-of-00001": BYTES,
    "1/variables/variables.index": BYTES[:BLOCK_BYTES],
    "1/assets/empty": b"",
    "1/assets/a name, 100% #1+é?&=.txt": b"x",
    "1/assets/of one chunk": BYTES[:512],
    "2/saved_model.pb": BYTES[: 2 * BLOCK_BYTES],
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "termination-log"


@pytest.fixture(scope="module")
def model(hdfs: HdfsCluster) -> str:
    """The path of a model that no test changes."""
    put(hdfs, "/download/ner", MODEL)
    return "/download/ner"


def put(hdfs: HdfsCluster, path: str, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        hdfs.put(f"{path}/{name}", data)


def named(hdfs: HdfsCluster) -> str:
    return ",".join(f"models={address}" for address in hdfs.namenodes)


def test_a_model_arrives_whole_and_checked(hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path) -> None:
    ended = run(f"hdfs://models{model}", tmp_path / "m", log=log, namenodes=named(hdfs))
    assert (ended.code, ended.message) == (0, "")
    assert content(tmp_path / "m") == MODEL
    assert "7 files, 6.1 MiB in " in ended.output
    assert "7 with the checksum that HDFS has" in ended.output
    assert not (tmp_path / "m" / ".milepost-partial").exists()


def test_one_file_is_a_model_too(hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path) -> None:
    ended = run(f"webhdfs://{hdfs.namenodes[0]}{model}/2/saved_model.pb", tmp_path / "m", log=log)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"saved_model.pb": MODEL["2/saved_model.pb"]}


def test_several_models_in_one_run(hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path) -> None:
    first, second = (f"hdfs://models{model}/{version}" for version in (1, 2))
    ended = run(first, tmp_path / "a", second, tmp_path / "b", log=log, namenodes=named(hdfs))
    assert ended.code == 0
    assert len(content(tmp_path / "a")) == 6
    assert list(content(tmp_path / "b")) == ["saved_model.pb"]


def test_again_it_checks_what_is_there_and_makes_the_folder_what_the_model_is_now(
    hdfs: HdfsCluster, tmp_path: Path, log: Path
) -> None:
    put(hdfs, "/download/moves", {"1/model": b"one", "1/old": b"old", "shape": b"file"})
    uri, target = "hdfs://models/download/moves", tmp_path / "m"
    assert run(uri, target, log=log, namenodes=named(hdfs)).code == 0
    (target / "1" / "model").write_bytes(b"own")  # same length: only its content tells
    hdfs.change("DELETE", "/download/moves", "DELETE", recursive="true")
    put(hdfs, "/download/moves", {"1/model": b"two", "2/model": b"three", "shape/now": b"folder"})
    ended = run(uri, target, log=log, namenodes=named(hdfs))
    assert ended.code == 0
    assert content(target) == {"1/model": b"two", "2/model": b"three", "shape/now": b"folder"}
    assert "files removed that the model no longer has: 1" in ended.output


def test_a_downloaded_model_can_be_put_into_hdfs_as_it_is(hdfs: HdfsCluster, tmp_path: Path, log: Path) -> None:
    put(hdfs, "/download/back", {"1/model": b"one", ".milepost-model": b"hdfs://other/m", ".milepost-partial/x": b"1"})
    for _ in range(2):
        assert run("hdfs://models/download/back", tmp_path / "m", log=log, namenodes=named(hdfs)).code == 0
        assert content(tmp_path / "m") == {"1/model": b"one"}
    assert (tmp_path / "m" / ".milepost-model").read_text() == "hdfs://models/download/back\n"


def test_damage_of_an_earlier_download_is_found(hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path) -> None:
    target = tmp_path / "m"
    assert run(f"hdfs://models{model}", target, log=log, namenodes=named(hdfs)).code == 0
    damaged = target / "1/variables/variables.index"
    status = damaged.stat()
    with damaged.open("r+b") as file:
        file.seek(12_345)
        file.write(b"!!")
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    ended = run(f"hdfs://models{model}", target, log=log, namenodes=named(hdfs))
    assert ended.code == 0
    assert "variables.index came with another checksum" in ended.output
    assert content(target) == MODEL


@pytest.mark.parametrize(
    ("path", "settings", "code", "said"),
    [
        ("/download/nothing", {}, 1, "HDFS has no /download/nothing"),
        ("/download/hollow", {}, 1, "has no file in it"),
        ("/download/closed", {"user": "eve"}, 1, "HDFS does not let this user read /download/closed"),
        ("/download/ner", {"files_max": 6}, 1, "has 7 files; at most 6 may be downloaded (--hdfs-files-max)"),
        ("/download/ner", {"bytes_max": "1MiB"}, 1, "at most 1048576 may be downloaded (--hdfs-bytes-max)"),
        ("/download/ner", {"parallel": 0}, 1, "--hdfs-parallel is 0; it must be 1 to 64"),
        ("/download/ner", {"headers": "[]"}, 1, "--hdfs-headers is no JSON object"),
        ("/download/ner", {"ca": "/nowhere"}, 1, "--hdfs-ca is neither PEM text nor a file of it"),
        ("/download/copying", {}, 4, "/download/copying/m._COPYING_ is still being copied into HDFS"),
    ],
)
def test_what_cannot_be_downloaded_is_said_in_one_line_at_once(
    hdfs: HdfsCluster,
    model: str,
    tmp_path: Path,
    log: Path,
    path: str,
    settings: dict[str, object],
    code: int,
    said: str,
) -> None:
    hdfs.change("MKDIRS", "/download/hollow/1")
    put(hdfs, "/download/closed", {"m": b"secret"})
    hdfs.change("SETPERMISSION", "/download/closed", permission="700")
    put(hdfs, "/download/copying", {"m._COPYING_": b"half"})
    ended = run(f"hdfs://models{path}", tmp_path / "m", log=log, namenodes=named(hdfs), **settings)
    assert (ended.code, ended.message.count("\n")) == (code, 0)
    assert said in ended.message
    assert f"Error: {ended.message}" in ended.output
    assert not (tmp_path / "m").exists() or content(tmp_path / "m") == {}


def test_a_folder_of_somebody_else_is_left_alone(hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "theirs").write_text("keep")
    ended = run(f"hdfs://models{model}", tmp_path / "m", log=log, namenodes=named(hdfs))
    assert ended.code == 1
    assert "holds theirs and no .milepost-model: it is not ours" in ended.message
    assert content(tmp_path / "m") == {"theirs": b"keep"}


def test_a_full_disk_is_refused_before_anything_is_read(
    hdfs: HdfsCluster, model: str, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    ended = run(f"hdfs://models{model}", tmp_path / "m", log=log, namenodes=named(hdfs))
    assert ended.code == 1
    assert "the disk of the target has 1000 left for it" in ended.message


@pytest.fixture(scope="module")
def other_checksums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A cluster whose checksums are of whole files, over the older CRC."""
    overrides = {"dfs.checksum.combine.mode": "COMPOSITE_CRC", "dfs.checksum.type": "CRC32"}
    cluster = need(lambda: HdfsCluster(tmp_path_factory.mktemp("composite"), overrides, datanodes=1))
    cluster.start()
    yield cluster
    cluster.stop()


def test_checksums_of_whole_files_are_checked_too(other_checksums: HdfsCluster, tmp_path: Path, log: Path) -> None:
    put(other_checksums, "/ner", MODEL)
    ended = run(f"webhdfs://{other_checksums.namenodes[0]}/ner", tmp_path / "m", log=log, checksum="require")
    assert (ended.code, ended.message) == (0, "")
    assert content(tmp_path / "m") == MODEL
    assert "7 with the checksum that HDFS has" in ended.output
