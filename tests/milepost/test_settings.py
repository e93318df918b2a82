"""Settings come from flags, environment and file, in that order, and a bad one names itself."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from milepost.settings import SettingsError, load, setting, table
from milepost.units import Bytes, Seconds


@dataclass(frozen=True)
class Batch:
    age: Seconds = setting(Seconds(0.25), "Flush a batch this old.")
    size: Bytes = setting(Bytes(1024), "Flush a batch this big.")
    topics: tuple[str, ...] = setting(("logs",), "Topics to read.")
    mode: str = setting("a", "How.", choices=("a", "b"))
    password: str = setting("", "Secret.", secret=True)


GROUPS = {"batch": Batch}


def read(
    *, flags: dict[str, str | None] | None = None, env: dict[str, str] | None = None, file: Path | None = None
) -> Batch:
    group = load(GROUPS, flags=flags or {}, env=env or {}, file=file)["batch"]
    assert isinstance(group, Batch)
    return group


def test_defaults_hold_when_nothing_is_set() -> None:
    assert read() == Batch()


def test_a_flag_beats_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("batch: {age: 3s, size: 3KiB, topics: [x, y]}")
    got = read(flags={"batch_age": "1s"}, env={"MILEPOST_BATCH_AGE": "2s", "MILEPOST_BATCH_SIZE": "2KiB"}, file=file)
    assert (got.age, got.size, got.topics) == (1.0, 2048, ("x", "y"))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"MILEPOST_BATCH_AGE": "fast"}, "MILEPOST_BATCH_AGE is 'fast'"),
        ({"MILEPOST_BATCH_MODE": "c"}, "must be one of a, b"),
        ({"MILEPOST_BATCH_SIZE": "3 parsecs"}, "is not a size"),
    ],
)
def test_a_bad_value_names_the_setting_the_value_and_what_is_allowed(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(env=env)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("batch: {agee: 3s}")
    with pytest.raises(SettingsError, match=r"no setting batch\.agee"):
        read(file=file)


def test_a_secret_never_shows_its_default_in_the_table() -> None:
    assert "| `--batch-age` | `MILEPOST_BATCH_AGE` | `250ms` |" in table(GROUPS)
    assert "| `--batch-password` | `MILEPOST_BATCH_PASSWORD` |  |" in table(GROUPS)
