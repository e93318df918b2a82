"""What breaks between us and a real HDFS: namenodes, datanodes, connections, bytes, and we ourselves."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.hdfs import cli
from tests.hdfs.command import content, run, start
from tests.hdfs.gateway import STANDBY, Fault, Gateway
from tests.parts.hdfs import BLOCK_BYTES, HdfsCluster
from tests.parts.pki import Pki
from tests.parts.ports import free_port

pytestmark = [pytest.mark.hdfs, pytest.mark.slow]

BYTES = random.Random(8).randbytes(2 * BLOCK_BYTES + 99)
PATH = "/faults/model.bin"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "termination-log"


@pytest.fixture(scope="module")
def stored(hdfs: HdfsCluster) -> None:
    hdfs.put(PATH, BYTES)


@pytest.fixture
def gateway(hdfs: HdfsCluster, stored: None) -> Iterator[Gateway]:
    with Gateway(hdfs.namenodes[0]) as gateway:
        yield gateway


def test_a_standby_and_a_dead_namenode_are_passed_over(
    hdfs: HdfsCluster, stored: None, tmp_path: Path, log: Path
) -> None:
    active, standby = hdfs.namenodes
    namenodes = f"models=127.0.0.1:{free_port()},models={standby},models=http://{active}"
    ended = run(f"hdfs://models{PATH}", tmp_path / "m", log=log, namenodes=namenodes)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}
    assert "trying again" not in ended.output


def test_a_failover_in_the_middle_is_followed(hdfs: HdfsCluster, gateway: Gateway, tmp_path: Path, log: Path) -> None:
    gateway.fault("OPEN", Fault(cut_after=BLOCK_BYTES))
    gateway.fault("GETFILECHECKSUM", Fault(before=lambda: hdfs.activate(1)))
    gateway.fault("LISTSTATUS", Fault())
    namenodes = f"models={gateway.address},models={hdfs.namenodes[1]}"
    try:
        ended = run(f"hdfs://models{PATH}", tmp_path / "m", log=log, namenodes=namenodes, patience="30s")
    finally:
        hdfs.activate(0)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}


def test_when_no_namenode_is_active_it_ends_after_its_patience(
    hdfs: HdfsCluster, stored: None, tmp_path: Path, log: Path
) -> None:
    namenodes = f"models={hdfs.namenodes[1]},models=127.0.0.1:{free_port()}"
    started = time.monotonic()
    ended = run(f"hdfs://models{PATH}", tmp_path / "m", log=log, namenodes=namenodes, patience="2s")
    assert ended.code == 4
    assert 2 <= time.monotonic() - started < 20
    assert re.search(r"state standby.*Connect call failed.*nothing arrived for \d s \(--hdfs-patience\)", ended.message)
    assert ended.output.count("trying again") >= 3


def test_a_dead_datanode_is_gone_round(hdfs: HdfsCluster, stored: None, tmp_path: Path, log: Path) -> None:
    hdfs.stop_datanode(hdfs.datanodes()[0])
    try:
        for number in range(3):  # the namenode, which has not noticed yet, sends us to either
            target = tmp_path / str(number)
            # Both are on one host here, so which of them the namenode avoids is luck, each time anew.
            ended = run(f"webhdfs://{hdfs.namenodes[0]}{PATH}", target, log=log, patience="5m")
            assert ended.code == 0
            assert content(target) == {"model.bin": BYTES}
    finally:
        hdfs.start_datanodes()


def test_a_datanode_that_failed_is_avoided_until_it_is_all_there_is(
    gateway: Gateway, tmp_path: Path, log: Path
) -> None:
    nobody = Fault(status=307, headers={"Location": f"http://127.0.0.9:{free_port()}/webhdfs/v1{PATH}?op=OPEN"})
    gateway.fault("OPEN", nobody, nobody)
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}
    avoided = [asked.query.get("excludedatanodes") for asked in gateway.asked if asked.operation == "OPEN"]
    assert avoided == [None, ["127.0.0.9"], None]


def test_a_file_that_breaks_off_goes_on_where_it_was(gateway: Gateway, tmp_path: Path, log: Path) -> None:
    # What has come and was not read when a connection breaks is lost, so the gateway gives time to read.
    cuts = [Fault(cut_after=count, pause_s=0.05) for count in (700_001, 1, 800_000)]
    gateway.fault("OPEN", cuts[0], Fault(status=503), *cuts[1:])
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}
    offsets = gateway.offsets(PATH)
    assert (offsets[0], offsets[1] > 500_000, offsets[1] == offsets[2], offsets[4] > 1_200_000) == (0, True, True, True)
    assert offsets == sorted(offsets)
    assert "failed tries: 4" in ended.output


def test_a_changed_byte_is_found_and_the_file_read_again(gateway: Gateway, tmp_path: Path, log: Path) -> None:
    gateway.fault("OPEN", Fault(flip_at=BLOCK_BYTES + 3))
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}
    assert "(1 of 3)" in ended.output


def test_bytes_that_stay_wrong_never_become_a_model(gateway: Gateway, tmp_path: Path, log: Path) -> None:
    gateway.fault("OPEN", *(Fault(flip_at=5) for _ in range(3)))
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 4
    assert f"{PATH} came 3 times with another checksum than HDFS has" in ended.message
    assert content(tmp_path / "m") == {}


@pytest.mark.parametrize(
    "answer",
    [
        b'{"FileChecksum":null}',
        b'{"FileChecksum":{"algorithm":"MD5-of-0MD5-of-0CRC32","bytes":"00","length":28}}',
        b'{"FileChecksum":{"algorithm":"COMPOSITE-CRC64","bytes":"0000000000000000","length":8}}',
    ],
)
def test_a_checksum_that_cannot_be_recomputed(gateway: Gateway, tmp_path: Path, log: Path, answer: bytes) -> None:
    gateway.fault("GETFILECHECKSUM", Fault(body=answer), Fault(body=answer))
    uri = f"webhdfs://{gateway.address}{PATH}"
    strict = run(uri, tmp_path / "strict", log=log, checksum="require")
    assert strict.code == 1
    assert f"{PATH} cannot be checked: HDFS has " in strict.message
    assert content(tmp_path / "strict") == {}
    ended = run(uri, tmp_path / "m", log=log)
    assert ended.code == 0
    assert content(tmp_path / "m") == {"model.bin": BYTES}
    assert "none of them checked by a checksum" in ended.output


def test_a_model_that_changes_meanwhile_is_not_taken_for_one(
    hdfs: HdfsCluster, gateway: Gateway, tmp_path: Path, log: Path
) -> None:
    hdfs.put("/faults/moving/a", b"first")
    gateway.fault("OPEN", Fault(before=lambda: hdfs.put("/faults/moving/b", b"second")))
    ended = run(f"webhdfs://{gateway.address}/faults/moving", tmp_path / "m", log=log)
    assert ended.code == 4
    assert "/faults/moving/b changed in HDFS while" in ended.message
    assert run(f"webhdfs://{gateway.address}/faults/moving", tmp_path / "m", log=log).code == 0
    assert content(tmp_path / "m") == {"a": b"first", "b": b"second"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_its_end_only_the_rest_is_downloaded(
    gateway: Gateway, tmp_path: Path, log: Path, number: signal.Signals
) -> None:
    gateway.fault("OPEN", Fault(pause_s=0.1))
    target = tmp_path / "m"
    process = start(f"webhdfs://{gateway.address}{PATH}", target)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 500_000 for path in target.glob(".milepost-partial/*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == (143 if number is signal.SIGTERM else -9)
    assert ("Error: stopped by SIGTERM" in output) == (number is signal.SIGTERM)
    assert "model.bin" not in content(target)
    ended = run(f"webhdfs://{gateway.address}{PATH}", target, log=log)
    assert ended.code == 0
    assert content(target) == {"model.bin": BYTES}
    first, rest = gateway.offsets(PATH)
    assert (first, rest > 500_000) == (0, True)


def test_a_long_download_says_how_far_it_is(
    gateway: Gateway, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "PROGRESS_S", 0.2)
    gateway.fault("OPEN", Fault(pause_s=0.03))
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 0
    told = re.findall(r"^0 of 1 files, .* of 2\.0 MiB \((\d+)%\), .*/s$", ended.output, re.MULTILINE)
    assert len(told) >= 3
    assert [int(part) for part in told] == sorted(int(part) for part in told)


@pytest.mark.parametrize(
    "answer",
    [
        Fault(body=b"<html>a proxy's page</html>"),
        Fault(body=b'{"ContentSummary":{}}'),
        Fault(status=500, body=b"x" * 100_000),
        Fault(status=403, body=STANDBY),
        Fault(status=307, headers={"Location": "ftp://nowhere"}),
        Fault(status=307, headers={"Location": "http://[::1/"}),
        Fault(status=307),
        Fault(cut_after=5),
    ],
)
def test_answers_that_are_none_are_asked_for_again(gateway: Gateway, tmp_path: Path, log: Path, answer: Fault) -> None:
    gateway.fault("GETCONTENTSUMMARY", answer)
    ended = run(f"webhdfs://{gateway.address}{PATH}", tmp_path / "m", log=log)
    assert ended.code == 0
    assert ended.output.count("trying again") == 1
    assert content(tmp_path / "m") == {"model.bin": BYTES}


@pytest.mark.parametrize("name", ["..", "a/b", "", "n" * 256, "nul\0"])
def test_names_that_would_leave_the_folder_are_refused(gateway: Gateway, tmp_path: Path, log: Path, name: str) -> None:
    entry = {"pathSuffix": name, "type": "FILE", "length": 1, "modificationTime": 1}
    other = {"pathSuffix": "good", "type": "FILE", "length": 1, "modificationTime": 1}
    answer = json.dumps({"FileStatuses": {"FileStatus": [other, entry]}}).encode()
    gateway.fault("LISTSTATUS", Fault(body=answer))
    ended = run(f"webhdfs://{gateway.address}/faults", tmp_path / "m", log=log)
    assert ended.code == 1
    assert "which cannot be a name on disk" in ended.message


def test_what_proves_who_we_are_goes_to_the_namenode_only(
    gateway: Gateway, hdfs: HdfsCluster, tmp_path: Path, log: Path
) -> None:
    secret = '{"Authorization": "Basic c2VjcmV0"}'
    with Gateway(hdfs.namenodes[0]) as datanode:
        location = f"http://{datanode.address}/webhdfs/v1{PATH}?op=OPEN&user.name=root&offset=0"
        gateway.fault("OPEN", Fault(status=307, headers={"Location": location}))
        uri = f"webhdfs://{gateway.address}{PATH}"
        ended = run(uri, tmp_path / "m", log=log, headers=secret, token="t0k3n", user="")
    assert ended.code == 0
    assert {asked.headers["Authorization"] for asked in gateway.asked} == {"Basic c2VjcmV0"}
    assert {asked.query["delegation"][0] for asked in gateway.asked} == {"t0k3n"}
    [asked] = datanode.asked
    assert ("Authorization" in asked.headers, "delegation" in asked.query) == (False, False)
    assert "t0k3n" not in ended.output
    assert "c2VjcmV0" not in ended.output


def test_tls_with_a_ca_of_ones_own(hdfs: HdfsCluster, stored: None, tmp_path: Path, log: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.make()
    ca = pki.folder / "ca.crt"
    with Gateway(hdfs.namenodes[0], tls=pki.server_certificate()) as gateway:
        uri = f"swebhdfs://{gateway.address}{PATH}"
        for trusted in (ca, ca.read_text()):
            assert run(uri, tmp_path / "m", log=log, ca=trusted).code == 0
        assert content(tmp_path / "m") == {"model.bin": BYTES}
        stranger = run(uri, tmp_path / "other", log=log, patience="1s")
        assert stranger.code == 4
        assert "certificate verify failed" in stranger.message
        gateway.fault("OPEN", Fault(status=307, headers={"Location": f"http://{hdfs.namenodes[0]}/"}))
        downgraded = run(uri, tmp_path / "third", log=log, ca=ca)
        assert downgraded.code == 1
        assert "speaks TLS and redirects to" in downgraded.message


def test_a_nameservice_that_nothing_names_is_no_host(tmp_path: Path, log: Path) -> None:
    ended = run("hdfs://lake.invalid/m", tmp_path / "m", log=log, patience="0s")
    assert ended.code == 4
    assert "lake.invalid:9870 does not send /m: its name does not resolve (a nameservice is no host: --hdfs-nam" in (
        ended.message
    )
