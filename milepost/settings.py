"""Settings: frozen groups of fields, each settable by a flag, an environment variable or a file.

A program declares one frozen dataclass per topic with `setting(default, help)` fields and lists the groups in a
mapping of group name to class. The names follow from that alone: group `kafka`, field `group_id` is the flag
`--kafka-group-id`, the variable `MILEPOST_KAFKA_GROUP_ID` and the key `kafka: {group_id: …}` of a YAML file. A flag
wins over a variable, a variable over the file, the file over the default. Every value is parsed the same way, so a
bad one gives the same message wherever it came from: the setting, the value, what is allowed.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from milepost.units import Bytes, Seconds, format_duration, format_size, parse_duration, parse_size

Groups = Mapping[str, type]
Loaded = TypeVar("Loaded")


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names the setting, the value and what is allowed."""


def setting(default: Any, help: str, *, choices: tuple[str, ...] = (), secret: bool = False) -> Any:  # noqa: A002
    """Declare one field of a settings group; `secret` keeps its value out of help and logs."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "secret": secret})


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One setting as users meet it."""

    group: str
    name: str
    kind: Any
    default: Any
    help: str
    choices: tuple[str, ...]
    secret: bool

    @property
    def flag(self) -> str:
        """The command line flag, `--group-name`."""
        return f"--{self.group}-{self.name}".replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, `MILEPOST_GROUP_NAME`."""
        return f"MILEPOST_{self.group}_{self.name}".upper()

    @property
    def default_text(self) -> str:
        """The default as a user would write it."""
        return _write(self.kind, self.default)


def settings_of(groups: Groups) -> Iterator[Setting]:
    """Yield every setting of these groups, in the order of their declaration."""
    for group, cls in groups.items():
        kinds = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            meta = field.metadata
            yield Setting(
                group,
                field.name,
                kinds[field.name],
                field.default,
                meta["help"],
                meta["choices"],
                meta["secret"],
            )


def load(
    groups: Groups, *, flags: Mapping[str, str | None], env: Mapping[str, str], file: Path | None
) -> dict[str, Any]:
    """Return {group name: instance of its class}.

    `flags` maps `group_name` with underscores (as click passes them) to the text given, or None. Raises SettingsError.
    """
    from_file = _read_file(file, groups) if file else {}
    loaded: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for item in settings_of(groups):
        sources = (
            (item.flag, flags.get(f"{item.group}_{item.name}")),
            (item.variable, env.get(item.variable)),
            (f"{item.group}.{item.name} in {file}", from_file.get((item.group, item.name))),
        )
        for source, text in sources:
            if text is not None:
                loaded[item.group][item.name] = _parse(item, text, source)
                break
    return {group: cls(**loaded[group]) for group, cls in groups.items()}


def add_options(groups: Groups) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds `--config` and a flag for every setting to a click command."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for item in reversed(list(settings_of(groups))):
            shown = "" if item.secret or not item.default_text else f"  [default: {item.default_text}]"
            command = click.option(
                item.flag,
                f"{item.group}_{item.name}",
                metavar=_metavar(item),
                help=f"{item.help}{shown}  [env: {item.variable}]",
            )(command)
        path = click.Path(exists=True, dir_okay=False, path_type=Path)
        return click.option("--config", "config", type=path, help="A YAML file of settings.")(command)

    return decorate


def table(groups: Groups) -> str:
    """Return the settings as a Markdown table, as the README shows it."""
    rows = ["| flag | variable | default | meaning |", "| --- | --- | --- | --- |"]
    for item in settings_of(groups):
        default = f"`{item.default_text}`" if item.default_text and not item.secret else ""
        rows.append(f"| `{item.flag}` | `{item.variable}` | {default} | {item.help} |")
    return "\n".join(rows)


def _read_file(file: Path, groups: Groups) -> dict[tuple[str, str], str]:
    try:
        content = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{file} is not YAML: {error}") from error
    known = {(item.group, item.name) for item in settings_of(groups)}
    values: dict[tuple[str, str], str] = {}
    for group, fields in content.items():
        if not isinstance(fields, dict):
            raise SettingsError(f"{file}: {group!r} must be a mapping of settings")
        for name, value in fields.items():
            if (group, name) not in known:
                raise SettingsError(f"{file}: there is no setting {group}.{name}")
            values[group, name] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _parse(item: Setting, text: str, source: str) -> Any:
    shown = "(hidden)" if item.secret else repr(text)
    if item.choices and text not in item.choices:
        raise SettingsError(f"{source} is {shown}; it must be one of {', '.join(item.choices)}")
    try:
        return _PARSERS[item.kind](text)
    except ValueError as error:
        raise SettingsError(f"{source} is {shown}: {error}") from error


def _bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise ValueError("it must be true or false")
    return lowered in ("true", "1", "yes", "on")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: _bool,
    Path: Path,
    Seconds: parse_duration,
    Bytes: parse_size,
    tuple[str, ...]: _names,
}


def _write(kind: Any, value: Any) -> str:
    if kind is Seconds:
        return format_duration(value)
    if kind is Bytes:
        return format_size(value)
    if kind is bool:
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _metavar(item: Setting) -> str:
    names = {
        str: "TEXT",
        int: "N",
        float: "X",
        bool: "BOOL",
        Path: "PATH",
        Seconds: "DURATION",
        Bytes: "SIZE",
    }
    return "|".join(item.choices) or names.get(item.kind, "LIST")
