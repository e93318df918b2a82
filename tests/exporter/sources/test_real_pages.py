"""The pages of real servers that answered real requests: what was sent is what is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.sources import mlserver, wrapper
from exporter.sources.discovery import recognised
from exporter.sources.pages import read as read_traffic
from tests.conftest import need
from tests.parts.model_servers import MlServer, SeldonWrapper, read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seldon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeldonWrapper]:
    folder = tmp_path_factory.mktemp("seldon")
    server = need(lambda: SeldonWrapper(folder, unit="classifier", image="registry.example.com:5000/fraud:3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mlserver_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlServer]:
    server = need(lambda: MlServer(tmp_path_factory.mktemp("mlserver"), model="classifier"))
    server.start()
    yield server
    server.stop()


def test_the_wrapper_says_what_its_models_author_measured_and_which_rewards_came(seldon: SeldonWrapper) -> None:
    assert wrapper.parse(read(seldon.page)) == []
    for _ in range(5):
        seldon.predict()
    seldon.feedback(1.5)
    seldon.feedback(-0.5)
    page = read(seldon.page)
    found = {one.name: one for one in wrapper.parse(page)}
    assert {one.unit for one in found.values()} == {"classifier"}
    # The wrapper asks the author's code for metrics at every prediction and at every feedback.
    assert (found["rows"].kind, found["rows"].value) == ("counter", 14.0)
    assert (found["temperature"].kind, found["temperature"].value) == ("gauge", 36.5)
    assert (found["lookup"].count, round(found["lookup"].sum_s, 9)) == (7.0, 0.14)
    assert (found[wrapper.FEEDBACK].value, found[wrapper.REWARD].value) == (2.0, 1.0)
    assert recognised("wrapper", page) == "wrapper"
    assert read_traffic("wrapper", page, {}) == []


def test_mlserver_counts_rest_and_grpc_once_and_failures_apart(mlserver_process: MlServer) -> None:
    assert mlserver.parse(read(mlserver_process.page)) == []
    assert [mlserver_process.infer(value) for value in (1, 2, 3, -1)] == [200, 200, 200, 500]
    assert mlserver_process.infer(1, version="v1") == 200
    mlserver_process.infer_by_grpc(4)
    page = read(mlserver_process.page)
    assert recognised("wrapper", page) == "mlserver"
    by_version = {one.version: one for one in read_traffic("mlserver", page, {}) if one.requests}
    unnamed = by_version[""]
    assert (unnamed.unit, unnamed.requests, unnamed.time_count) == ("classifier", {"2xx": 7.0, "5xx": 1.0}, 8.0)
    assert (by_version["v1"].requests, by_version["v1"].time_count) == ({"2xx": 1.0, "5xx": 0.0}, 1.0)
    assert unnamed.time_sum_s is not None
    assert 0 < unnamed.time_sum_s < 10
    assert unnamed.duration is None
    in_flight = [one for one in read_traffic("mlserver", page, {}) if one.in_flight is not None]
    assert [(one.unit, one.transport, one.in_flight) for one in in_flight] == [("classifier", "rest", 0.0)]
