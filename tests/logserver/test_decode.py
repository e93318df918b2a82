"""Every document becomes exactly one line or one reject, with the meaning Filebeat gave it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logserver.decode import DOCUMENT_SCHEMA, Decoded, Decoder, KeepDays
from logserver.decode.origin import origin_text
from logserver.decode.repair import REASONS
from logserver.engines.embedded import EmbeddedStore
from logserver.record import LINE_SCHEMA, ORIGIN_FIELDS, REJECT_SCHEMA
from milepost.identity import model_and_predictor
from milepost.units import Bytes

SAMPLES = Path(__file__).parents[2] / "filebeat" / "samples"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((SAMPLES / "expected.yaml").read_text())
NOW = datetime.datetime(2026, 3, 5, 12, tzinfo=datetime.UTC)
COPIED = ("stream", "namespace", "model", "predictor", "pod", "container", "container_id", "node", "file_path")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    store = EmbeddedStore(tmp_path_factory.mktemp("decode"), sessions=1)
    keep = KeepDays(7, {"audit": 365})
    yield Decoder(store.transform, keep, document_bytes_max=Bytes(100_000), reject_bytes_max=Bytes(1000))
    store.close()


def documents(raws: list[bytes]) -> pa.Table:
    count = len(raws)
    columns = [
        pa.array(raws, pa.binary_view()),
        pa.array([b"key"] * count, pa.binary()),
        pa.array(["logs"] * count).dictionary_encode(),
        pa.array([3] * count, pa.uint32()),
        pa.array(range(100, 100 + count), pa.uint64()),
        pa.array([1_772_615_728_000] * count, DOCUMENT_SCHEMA.field("appended_at").type),
    ]
    return pa.table(columns, schema=DOCUMENT_SCHEMA)


def decode(decoder: Decoder, *raws: bytes) -> Decoded:
    return decoder.decode(documents(list(raws)), now=NOW)


def line(decoder: Decoder, **fields: object) -> dict[str, Any]:
    raw = json.dumps({"@timestamp": "2026-03-04T09:15:27.481Z", "message": "m"} | fields).encode()
    rows: list[dict[str, Any]] = decode(decoder, raw).lines.drop_columns(["ts"]).to_pylist()
    return rows[0]


def level(decoder: Decoder, message: str) -> object:
    return line(decoder, message=message)["level"]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_means_what_filebeat_meant(decoder: Decoder, name: str) -> None:
    expected = EXPECTED[name]
    decoded = decode(decoder, (SAMPLES / f"{name}.json").read_bytes())
    assert decoded.rejects.num_rows == 0
    assert decoded.lines["ts"].cast(pa.int64()).to_pylist() == [expected["timestamp_ns"]]
    (got,) = decoded.lines.drop_columns(["ts"]).to_pylist()
    assert {key: got[key] for key in COPIED} == {key: expected[key] for key in COPIED}
    assert got["file_offset"] == expected["file_offset"]
    assert ("truncated" in got["flags"].split(",")) == expected["truncated"]
    if expected["message"] is not None:
        assert got["message"] == expected["message"]


@pytest.mark.parametrize("path", sorted((SAMPLES / "rejects").iterdir()), ids=lambda path: path.stem)
def test_a_bad_sample_is_kept_with_its_reason(decoder: Decoder, path: Path) -> None:
    reasons = {
        "array": "not_an_object",
        "bad_timestamp": "bad_timestamp",
        "cut_json": "not_json",
        "empty": "empty",
        "impossible_date": "bad_timestamp",
        "no_timestamp": "no_timestamp",
        "not_json": "not_json",
        "wrong_types": "wrong_type",
    }
    raw = path.read_bytes()
    decoded = decode(decoder, raw)
    assert decoded.lines.num_rows == 0
    (reject,) = decoded.rejects.to_pylist()
    assert reject["reason"] == reasons[path.stem]
    assert reject["raw"] == raw[:1000]
    assert (reject["topic"], reject["partition"], reject["offset"], reject["key"]) == ("logs", 3, 100, b"key")


def test_the_first_line_of_a_resend_and_the_second_have_one_identity_and_twins_have_two(decoder: Decoder) -> None:
    names = ("resend_first", "resend_second", "twin_first", "twin_second")
    lines = decode(decoder, *((SAMPLES / f"{name}.json").read_bytes() for name in names)).lines
    keys = list(
        zip(
            *(lines[name].cast(pa.int64(), safe=False).to_pylist() for name in ("file_id", "file_offset", "ts")),
            strict=True,
        )
    )
    assert keys[0] == keys[1]
    assert len(set(keys[2:])) == 2


def test_a_line_has_the_same_identity_before_and_after_its_metadata_arrived(decoder: Decoder) -> None:
    full = json.loads((SAMPLES / "filestream_9x_fingerprint.json").read_bytes())
    bare = {key: full[key] for key in ("@timestamp", "message", "log", "host")}
    ids = decode(decoder, json.dumps(full).encode(), json.dumps(bare).encode()).lines["file_id"].to_pylist()
    assert ids[0] == ids[1]


def test_a_line_without_a_file_is_known_by_its_position(decoder: Decoder) -> None:
    raw = b'{"@timestamp":"2026-03-04T09:15:27.481Z","message":"m"}'
    lines = decode(decoder, raw, raw).lines
    assert lines["file_offset"].to_pylist() == [100, 101]
    assert len(set(lines["file_id"].to_pylist())) == 1
    assert lines["file_id"][0].as_py() != 0


def test_an_application_json_in_the_root_becomes_the_message_byte_for_byte(decoder: Decoder) -> None:
    raw = b'{"@timestamp":"2026-03-04T09:15:27.481Z","log":{"offset":5},"level":"warn","score":1.50,"a":{"b" : 1e3}}'
    assert decode(decoder, raw).lines["message"].to_pylist() == ['{"level":"warn","score":1.50,"a":{"b" : 1e3}}']


def test_invalid_utf8_is_replaced_and_flagged(decoder: Decoder) -> None:
    raw = b'{"@timestamp":"2026-03-04T09:15:27.481Z","message":"a\xff\xfeb","log":{"flags":["multiline"]}}'
    (got,) = decode(decoder, raw).lines.drop_columns(["ts"]).to_pylist()
    assert (got["message"], got["flags"]) == ("a��b", "multiline,invalid_utf8")


def test_half_a_surrogate_pair_is_replaced_and_flagged(decoder: Decoder) -> None:
    raw = rb'{"@timestamp":"2026-03-04T09:15:27.481Z","message":"a\ud800b \ud83d\ude00 \\ud800"}'
    (got,) = decode(decoder, raw).lines.drop_columns(["ts"]).to_pylist()
    assert (got["message"], got["flags"]) == ("a�b 😀 \\ud800", "invalid_utf8")


def test_a_document_past_the_size_limit_is_kept_in_part(decoder: Decoder) -> None:
    raw = json.dumps({"@timestamp": "2026-03-04T09:15:27.481Z", "message": "x" * 200_000}).encode()
    good = b'{"@timestamp":"2026-03-04T09:15:27.481Z","message":"m"}'
    decoded = decode(decoder, good, raw, good)
    assert decoded.lines["offset"].to_pylist() == [100, 102]
    (reject,) = decoded.rejects.to_pylist()
    assert (reject["reason"], reject["offset"], reject["raw"]) == ("too_big", 101, raw[:1000])


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        ("2026-03-04T09:15:27.481Z", "2026-03-04"),
        ("2019-01-01T00:00:00.000Z", "2026-02-26"),
        ("2031-12-31T23:59:59.999Z", "2026-03-06"),
    ],
)
def test_wrong_clocks_make_no_more_days_than_are_kept(decoder: Decoder, timestamp: str, day: str) -> None:
    assert str(line(decoder, **{"@timestamp": timestamp})["day"]) == day


@pytest.mark.parametrize(
    ("timestamp", "ns"),
    [
        ("2026-03-04T09:15:27Z", 1_772_615_727_000_000_000),
        ("2026-03-04T09:15:27.4Z", 1_772_615_727_400_000_000),
        ("2026-03-04T09:15:27.481123Z", 1_772_615_727_481_123_000),
        ("2026-03-04T09:15:27.481123456Z", 1_772_615_727_481_123_456),
        ("2026-03-04T14:45:27.481123456+05:30", 1_772_615_727_481_123_456),
        ("2026-03-04T01:15:27.481-0800", 1_772_615_727_481_000_000),
        ("2026-03-04t09:15:27.481z", 1_772_615_727_481_000_000),
        ("2026-03-04 09:15:27.481", 1_772_615_727_481_000_000),
        ("1772615727", 1_772_615_727_000_000_000),
        (1_772_615_727_481, 1_772_615_727_481_000_000),
    ],
)
def test_times_keep_every_digit_in_any_zone(decoder: Decoder, timestamp: object, ns: int) -> None:
    raw = json.dumps({"@timestamp": timestamp, "message": "m"}).encode()
    assert decode(decoder, raw).lines["ts"].cast(pa.int64()).to_pylist() == [ns]


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-03-04T25:00:00Z",
        "2026-03-04T09:61:00Z",
        "2026-02-30T00:00:00Z",
        "1899-12-31T23:00:00Z",
        "2300-01-01T00:00:00Z",
        "x",
    ],
)
def test_a_time_that_is_none_is_not_made_another(decoder: Decoder, timestamp: str) -> None:
    raw = json.dumps({"@timestamp": timestamp, "message": "m"}).encode()
    assert decode(decoder, raw).rejects["reason"].to_pylist() == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("message", "text"), [({"a": 1, "b": [True]}, '{"a":1,"b":[true]}'), (["x", 1], '["x",1]'), (5, "5"), ("", "")]
)
def test_a_message_of_another_type_is_its_json(decoder: Decoder, message: object, text: str) -> None:
    assert line(decoder, message=message)["message"] == text


def test_a_namespace_may_be_kept_longer(decoder: Decoder) -> None:
    assert line(decoder, kubernetes={"namespace": "audit"})["keep_days"] == 365
    assert line(decoder, kubernetes={"namespace": "models"})["keep_days"] == 7


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("2026-03-04 09:15:27,480 - root:predict:118 - ERROR: feature vector", "error"),
        ("ERROR:root:bad", "error"),
        ("[2026-03-04 09:15:27 +0000] [7] [INFO] Booting worker", "info"),
        ('INFO:     10.1.2.3:48212 - "POST /v2/models/iris/infer HTTP/1.1" 200 OK', "info"),
        ("I0304 09:15:30.119812 1 server.cc:264] Waiting", "info"),
        ("W0304 09:15:30.119812 1 server.cc:264] Waiting", "warn"),
        ("E0304 09:15:30.119812 1 server.cc:264] Waiting", "error"),
        ("2026-03-04 09:15:30.119812: W tensorflow/core/framework/op.cc:12] slow", "warn"),
        ("2026-03-04 09:15:30.119  WARN 1 --- [nio-8080-exec-1] c.e.s.Predictor : slow", "warn"),
        ("09:15:30.119 [main] DEBUG com.example.Main - hello", "debug"),
        ("Mar 04, 2026 9:15:30 AM SEVERE: failed", "error"),
        ('{"level":"error","ts":1772615728.0129,"msg":"Failed"}', "error"),
        ('{"ts":1,"severity":"WARNING","msg":"INFO"}', "warn"),
        ('{"msg":"hello","level":30}', "info"),
        ('{"msg":"no level but ERROR in it"}', "unknown"),
        ('level=info ts=2026-03-04T09:15:27.480Z caller=main.go:512 msg="ready"', "info"),
        ('time="2026-03-04" level=fatal msg="dead"', "fatal"),
        ("Traceback (most recent call last):\n  File x", "error"),
        ("panic: runtime error: invalid memory address", "fatal"),
        ("java.lang.IllegalStateException: model not loaded\n\tat com", "error"),
        ("ValueError: bad input", "error"),
        ("[warn] something", "warn"),
        ("an error in running text is a guess", "unknown"),
        ("epoch 3/10 loss=0.2143", "unknown"),
        ("", "unknown"),
        ("CRITICAL - out of disk", "fatal"),
        ("<6>kernel: hi", "unknown"),
        ("TRACE enter", "trace"),
    ],
)
def test_the_level_is_read_from_the_head_of_the_line(decoder: Decoder, message: str, expected: str) -> None:
    assert level(decoder, message) == expected


def test_what_the_document_says_of_its_level_wins(decoder: Decoder) -> None:
    assert line(decoder, message="ERROR x", log={"level": "Warning"})["level"] == "warn"
    assert line(decoder, message="ERROR x", level="DEBUG")["level"] == "debug"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("request trace_id=4bf92f3577b34da6a3ce929d0e0e4736 done", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ('{"traceId":"4BF92F3577B34DA6A3CE929D0E0E4736"}', "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("X-B3-TraceId: 463ac35c9f6413ad", "463ac35c9f6413ad"),
        ("Traceback (most recent call last)", ""),
        ("trace_id= none", ""),
    ],
)
def test_a_trace_id_is_found_in_the_text(decoder: Decoder, message: str, expected: str) -> None:
    assert line(decoder, message=message)["trace_id"] == expected


def test_a_trace_id_of_the_document_wins(decoder: Decoder) -> None:
    assert line(decoder, trace={"id": "ABC"}, message="trace_id=4bf92f3577b34da6a3ce929d0e0e4736")["trace_id"] == "abc"


# Function-scoped fixtures are reset between tests, not examples; the decoder has no state.
relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
names = st.sampled_from(["seldon-deployment-id", "seldon-app", "version", "seldon-server-name", "app"])
values = st.sampled_from(["", "iris", "iris-default", "iris-", "canary", "a-b", "x"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
known_names = st.sampled_from(
    ["@timestamp", "message", "log", "kubernetes", "stream", "container", "offset", "file", "path", "pod", "name"]
)
objects = st.recursive(
    json_values,
    lambda inner: st.dictionaries(known_names | st.text(max_size=3), inner, max_size=6),
    max_leaves=20,
)
documents_of_any_kind = st.one_of(
    st.binary(max_size=300),
    objects.map(lambda value: json.dumps(value).encode()),
    objects.map(lambda value: json.dumps({"@timestamp": "2026-03-04T09:15:27Z", "message": value}).encode()),
    st.tuples(objects.map(json.dumps), st.integers(0, 200), st.binary(max_size=4)).map(
        lambda parts: parts[0].encode()[: parts[1]] + parts[2] + parts[0].encode()[parts[1] :]
    ),
)


@relaxed
@given(st.lists(st.dictionaries(names, values), min_size=1, max_size=20))
def test_the_model_is_the_one_the_shared_identity_finds(decoder: Decoder, labels: list[dict[str, str]]) -> None:
    raws = [
        json.dumps({"@timestamp": "2026-03-04T09:15:27Z", "message": "m", "kubernetes": {"labels": one}}).encode()
        for one in labels
    ]
    lines = decode(decoder, *raws).lines
    got = list(zip(lines["model"].to_pylist(), lines["predictor"].to_pylist(), strict=True))
    assert got == [model_and_predictor(one) for one in labels]


@relaxed
@given(st.lists(documents_of_any_kind, min_size=1, max_size=30))
def test_any_bytes_become_a_line_or_a_reject_and_none_is_lost(decoder: Decoder, raws: list[bytes]) -> None:
    decoded = decode(decoder, *raws)
    offsets = sorted(decoded.lines["offset"].to_pylist() + decoded.rejects["offset"].to_pylist())
    assert offsets == list(range(100, 100 + len(raws)))
    assert set(decoded.rejects["reason"].to_pylist()) <= set(REASONS)
    assert decoded.lines.schema.equals(LINE_SCHEMA)
    assert decoded.rejects.schema.equals(REJECT_SCHEMA)
    assert not any(column.null_count for column in (*decoded.lines.columns, *decoded.rejects.columns))
    names = zip(*(decoded.lines[name].to_pylist() for name in ORIGIN_FIELDS), strict=True)
    assert decoded.lines["origin"].to_pylist() == [origin_text(one) for one in names]


@relaxed
@given(st.text())
def test_the_text_of_a_message_is_not_altered(decoder: Decoder, text: str) -> None:
    raw = json.dumps({"@timestamp": "2026-03-04T09:15:27Z", "message": text, "log": {"offset": 1}}).encode()
    decoded = decode(decoder, raw)
    assert decoded.lines["message"].to_pylist() == [text]
