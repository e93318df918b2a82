"""Which servers an address means, and which addresses mean none."""

from __future__ import annotations

import pytest

from deploy.hdfs.address import source_of
from deploy.hdfs.errors import Refused
from deploy.hdfs.settings import Hdfs

NAMED = Hdfs(
    namenodes=(
        "models=nn1:9870",
        "models=https://nn2:9871",
        "lake=gw",
        "old:8020=[::1]:50070",
        "any:1",
        "https://k/g/",
    ),
    http_port=9999,
)


@pytest.mark.parametrize(
    ("uri", "path", "servers"),
    [
        ("hdfs://models/ner/9", "/ner/9", ("http://nn1:9870", "https://nn2:9871")),
        ("hdfs://models:8020/ner", "/ner", ("http://nn1:9870", "https://nn2:9871")),
        ("hdfs://old:8020/ner", "/ner", ("http://[::1]:50070",)),
        ("hdfs://lake//a///b/", "/a/b", ("http://gw:9999",)),
        ("hdfs:///ner", "/ner", ("http://any:1", "https://k:9999/g")),
        ("hdfs://other/ner", "/ner", ("http://any:1", "https://k:9999/g")),
        ("hdfs://models/a b%20?x=1#y", "/a b%20?x=1#y", ("http://nn1:9870", "https://nn2:9871")),
        ("webhdfs://models:50070/ner", "/ner", ("http://models:50070",)),
        ("swebhdfs://gw/ner", "/ner", ("https://gw:9999",)),
    ],
)
def test_an_address_means_a_path_and_servers(uri: str, path: str, servers: tuple[str, ...]) -> None:
    source = source_of(uri, NAMED)
    assert (source.uri, source.path, source.servers) == (uri, path, servers)


def test_a_host_that_nothing_names_is_asked_at_the_port_of_webhdfs() -> None:
    assert source_of("hdfs://namenode.example:8020/m", Hdfs()).servers == ("http://namenode.example:9870",)


@pytest.mark.parametrize(
    ("uri", "settings", "said"),
    [
        ("s3://bucket/m", Hdfs(), "'s3://bucket/m' is no address of HDFS"),
        ("hdfs:/m", Hdfs(), "is no address of HDFS"),
        ("hdfs://a b/m", Hdfs(), "is no address of HDFS"),
        ("hdfs://models", Hdfs(), "names no file or folder"),
        ("hdfs://models///", Hdfs(), "names no file or folder"),
        ("hdfs://models/a/../b", Hdfs(), "must not have `.` or `..`"),
        ("hdfs:///m", Hdfs(), "names no nameservice, and --hdfs-namenodes no default one"),
        ("hdfs://models/m", Hdfs(namenodes=("models=nn1:99999",)), "--hdfs-namenodes: 'nn1:99999' is no address"),
        ("hdfs://models/m", Hdfs(namenodes=("models=ftp://nn1",)), "--hdfs-namenodes: 'ftp://nn1' is no address"),
        ("webhdfs:///m", Hdfs(), "'' is no address of a server"),
        ("webhdfs://user@host/m", Hdfs(), "'user@host' is no address of a server"),
    ],
)
def test_what_is_no_address_is_refused(uri: str, settings: Hdfs, said: str) -> None:
    with pytest.raises(Refused) as refused:
        source_of(uri, settings)
    assert said in str(refused.value)
