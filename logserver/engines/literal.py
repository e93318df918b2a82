"""Write Python values as the text ClickHouse reads for a `{name:Type}` parameter.

The engine reads the text as one field of that type: a string as in TabSeparated, an array or a tuple in its text form
with quoted strings (which is not unescaped a second time: measured).
Format: https://clickhouse.com/docs/interfaces/formats/TabSeparated and /docs/interfaces/cli#cli-queries-with-parameters
"""

from __future__ import annotations

from collections.abc import Iterable

_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})
_QUOTED = _TSV | str.maketrans({"'": "\\'"})


def parameter_text(value: object) -> str:
    """Return the parameter text of a string, number, boolean, or of a list or tuple of such.

    Raises TypeError for any other value.
    """
    if isinstance(value, str):
        return value.translate(_TSV)
    return nested_text(value)


def nested_text(value: object) -> str:
    """Return the text of a value inside an array or tuple; strings are quoted."""
    match value:
        case str():
            return quoted(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case tuple():
            return f"({_joined(value)})"
        case list() | set() | frozenset():
            return f"[{_joined(value)}]"
    raise TypeError(f"a query parameter cannot be a {type(value).__name__}")


def quoted(text: str) -> str:
    """Return the text as a quoted SQL string."""
    return f"'{text.translate(_QUOTED)}'"


def _joined(values: Iterable[object]) -> str:
    return ", ".join(nested_text(value) for value in values)
