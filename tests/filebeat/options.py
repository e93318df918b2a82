"""The options of filebeat.yml that Milepost's configurations may use, with their types and the versions they need.

Written from Elastic's reference (elastic/beats `docs/reference/filebeat/`: filebeat-input-filestream.md,
multiline-examples.md, configuration-autodiscover.md, configuration-autodiscover-hints.md, add-kubernetes-metadata.md,
kafka-output.md, configuring-internal-queue.md, configuration-general-options.md, http-endpoint.md,
configuration-logging.md, drop-event.md, drop-fields.md). Filebeat ignores a key it does not know, so a misspelt one
would go unnoticed without this table.

A schema is a mapping of key to schema, a list with the schema of its items, or a `Value`. `check()` yields one sentence
for each fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

Version = tuple[int, int]
FIRST: Version = (8, 12)


@dataclass(frozen=True, slots=True)
class Value:
    """A leaf: what it must look like, and the first version that has the option."""

    what: str
    accepts: Callable[[Any], bool]
    since: Version = FIRST


Schema = Mapping[str, Any] | list[Any] | Value

_DURATION = re.compile(r"(\d+(ms|s|m|h))+|0s?")
_VARIABLE = re.compile(r"\$\{[A-Z_]+(:[^}]*)?\}|.*\$\{[a-zA-Z_.]+(:[^}]*)?\}.*")


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def _is_regex(value: Any) -> bool:
    try:
        re2.compile(value)
    except re2.error:
        return False
    return True


def text() -> Value:
    return Value("a text", lambda value: isinstance(value, str))


def yes_no(since: Version = FIRST) -> Value:
    return Value("true or false", lambda value: isinstance(value, bool) or _is_variable(value), since)


def number(low: int, high: int) -> Value:
    return Value(f"a number in {low}..{high}", lambda value: type(value) is int and low <= value <= high)


def duration() -> Value:
    return Value("a duration", lambda value: isinstance(value, str) and _DURATION.fullmatch(value) is not None)


def one_of(*allowed: str) -> Value:
    return Value(f"one of {', '.join(allowed)}", lambda value: value in allowed)


def regex() -> Value:
    return Value("an RE2 pattern", _is_regex)


def nothing(since: Version = FIRST) -> Value:
    return Value("empty", lambda value: value is None, since)


TEXTS = [text()]

PARSER = {
    "container": {"stream": one_of("all", "stdout", "stderr"), "format": one_of("auto", "docker", "cri")},
    "multiline": {
        "type": one_of("pattern", "count", "while_pattern"),
        "pattern": regex(),
        "negate": yes_no(),
        "match": one_of("after", "before"),
        "max_lines": number(1, 10_000),
        "timeout": duration(),
        "flush_pattern": regex(),
        "skip_newline": yes_no(),
    },
    "ndjson": {
        "target": text(),
        "overwrite_keys": yes_no(),
        "expand_keys": yes_no(),
        "add_error_key": yes_no(),
        "message_key": text(),
        "document_id": text(),
        "ignore_decoding_error": yes_no(),
    },
    "include_message": {"patterns": [regex()]},
}

FILESTREAM = {
    "type": one_of("filestream"),
    "id": text(),
    "enabled": yes_no(),
    "paths": TEXTS,
    "prospector": {
        "scanner": {
            "symlinks": yes_no(),
            "check_interval": duration(),
            "exclude_files": [regex()],
            "include_files": [regex()],
            "fingerprint": {"enabled": yes_no(), "offset": number(0, 1 << 20), "length": number(64, 1 << 20)},
            "resend_on_touch": yes_no(),
            "recursive_glob": yes_no(),
        }
    },
    "file_identity": {
        "native": nothing(),
        "path": nothing(),
        "fingerprint": {"growing": yes_no(since=(9, 5))},
    },
    "close": {
        "on_state_change": {"inactive": duration(), "renamed": yes_no(), "removed": yes_no()},
        "reader": {"on_eof": yes_no(), "after_interval": duration()},
    },
    "read_until_eof": {"enabled": yes_no(since=(9, 5)), "timeout": duration()},
    "backoff": {"init": duration(), "max": duration()},
    "harvester_limit": number(0, 1 << 20),
    "ignore_older": duration(),
    "message_max_bytes": number(1, 10_485_760),
    "buffer_size": number(1024, 1 << 20),
    "encoding": text(),
    "include_lines": [regex()],
    "exclude_lines": [regex()],
    "parsers": [PARSER],
    "tags": TEXTS,
}

RESOURCE_METADATA = {
    "node": {"enabled": yes_no(), "include_labels": TEXTS, "include_annotations": TEXTS},
    "namespace": {"enabled": yes_no(), "include_labels": TEXTS, "include_annotations": TEXTS},
    "deployment": yes_no(),
    "cronjob": yes_no(),
}

KUBERNETES = {
    "node": text(),
    "scope": one_of("node", "cluster"),
    "namespace": text(),
    "cleanup_timeout": duration(),
    "add_resource_metadata": RESOURCE_METADATA,
    "labels": {"dedot": yes_no()},
    "annotations": {"dedot": yes_no()},
    "include_annotations": TEXTS,
    "kube_config": text(),
}

PROCESSOR = {
    "add_kubernetes_metadata": {
        **KUBERNETES,
        "use_kubeadm": yes_no(),
        "default_indexers": {"enabled": yes_no()},
        "default_matchers": {"enabled": yes_no()},
        "indexers": [{"container": nothing(), "pod_uid": nothing(), "pod_name": nothing()}],
        "matchers": [{"logs_path": {"logs_path": text(), "resource_type": one_of("container", "pod")}}],
        "wait_for_metadata": yes_no(since=(9, 5)),
    },
    "drop_event": {"when": {"equals": Value("field: value", lambda value: isinstance(value, dict) and bool(value))}},
    "drop_fields": {"fields": TEXTS, "ignore_missing": yes_no()},
    "add_host_metadata": nothing(),
}

ROOT: Schema = {
    "name": text(),
    "filebeat": {
        "inputs": [FILESTREAM],
        "autodiscover": {
            "providers": [
                {
                    "type": one_of("kubernetes"),
                    **KUBERNETES,
                    "hints": {"enabled": yes_no(), "default_config": FILESTREAM},
                }
            ]
        },
        "registry": {"path": text(), "flush": duration()},
        "shutdown_timeout": duration(),
    },
    "processors": [PROCESSOR],
    "queue": {
        "mem": {
            "events": number(1, 1 << 20),
            "flush": {"min_events": number(0, 1 << 20), "timeout": duration()},
        }
    },
    "output": {
        "kafka": {
            "enabled": yes_no(),
            "hosts": text(),
            "version": one_of("2.1.0", "2.6.0"),
            "client_id": text(),
            "topic": text(),
            "key": text(),
            "partition": {"hash": {"hash": TEXTS, "random": yes_no(), "reachable_only": yes_no()}},
            "required_acks": number(-1, 1),
            "compression": one_of("none", "snappy", "lz4", "gzip", "zstd"),
            "compression_level": number(0, 9),
            "max_message_bytes": number(1, 1 << 30),
            "bulk_max_size": number(1, 1 << 20),
            "bulk_flush_frequency": duration(),
            "timeout": duration(),
            "broker_timeout": duration(),
            "keep_alive": duration(),
            "channel_buffer_size": number(1, 1 << 20),
            "metadata": {
                "refresh_frequency": duration(),
                "full": yes_no(),
                "retry": {"max": number(0, 1000), "backoff": duration()},
            },
            "backoff": {"init": duration(), "max": duration()},
            "username": text(),
            "password": text(),
            "sasl": {"mechanism": text()},
            "ssl": {
                "enabled": yes_no(),
                "certificate_authorities": TEXTS,
                "certificate": text(),
                "key": text(),
                "verification_mode": one_of("full", "strict", "certificate", "none"),
            },
        }
    },
    "http": {"enabled": yes_no(), "host": text(), "port": number(1, 65535)},
    "logging": {
        "level": one_of("debug", "info", "warning", "error"),
        "to_stderr": yes_no(),
        "metrics": {"enabled": yes_no(), "period": duration()},
    },
    "timestamp": {"precision": one_of("millisecond", "microsecond", "nanosecond")},
}


def nested(config: Any) -> Any:
    """Return the configuration with dotted keys as mappings, as Filebeat reads them; conditions stay as they are."""
    if isinstance(config, list):
        return [nested(item) for item in config]
    if not isinstance(config, dict):
        return config
    tree: dict[str, Any] = {}
    for key, value in config.items():
        *path, last = key.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        item = value if last in ("equals", "contains") else nested(value)
        if isinstance(item, dict) and isinstance(place.get(last), dict):
            place[last].update(item)
        elif last in place:
            raise ValueError(f"{key} is set twice")
        else:
            place[last] = item
    return tree


def check(config: Any, schema: Schema, version: Version, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a nested configuration for this version of Filebeat."""
    if isinstance(schema, Value):
        if not schema.accepts(config):
            yield f"{path} must be {schema.what}, not {config!r}"
        if version < schema.since:
            yield f"{path} needs Filebeat {schema.since[0]}.{schema.since[1]}"
    elif isinstance(schema, list):
        if not isinstance(config, list):
            yield f"{path} must be a list, not {config!r}"
            return
        for index, item in enumerate(config):
            yield from check(item, schema[0], version, f"{path}[{index}]")
    elif not isinstance(config, dict):
        yield f"{path} must be a mapping, not {config!r}"
    else:
        for key, value in config.items():
            where = f"{path}.{key}" if path else key
            if key in schema:
                yield from check(value, schema[key], version, where)
            else:
                yield f"{where} is not an option of Filebeat"
