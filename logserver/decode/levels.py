r"""Levels and trace ids, found in the text of a line.

A level is what the document says (`log.level`, or `level` and its like in an application's JSON decoded into the root),
else what the text says in its first characters: a JSON or logfmt key, a capital word as Python, Java and Go loggers
write it (`ERROR`, `[WARN]`, `INFO:`), the letter of glog and klog (`I0304 09:15:30.119812`) and of TensorFlow
(`2026-03-04 09:15:30.119: W tensorflow/…`), or the first line of a traceback, a panic or an exception. Never a guess
from words in running text: those lines are `unknown`.

One regular expression, in SQL, finds the leftmost sign; what it means is worked out once per distinct sign.
"""

from __future__ import annotations

import re

# How much of a line is looked at: the sign stands at its head; the keys of a JSON line may come later.
TEXT_HEAD = 200
JSON_HEAD = 2000

WORDS: dict[str, tuple[str, ...]] = {
    "trace": ("trace", "trc", "finest", "finer", "verbose", "10"),
    "debug": ("debug", "dbg", "debu", "fine", "d", "20"),
    "info": ("info", "inf", "information", "informational", "notice", "config", "i", "30", "6", "5"),
    "warn": ("warn", "warning", "wrn", "w", "40", "4"),
    "error": ("error", "err", "erro", "eror", "severe", "e", "50", "3"),
    "fatal": ("fatal", "ftl", "critical", "crit", "panic", "dpanic", "alert", "emerg", "emergency", "f", "c", "60"),
}

_KEY = r"""["']?(?:level|lvl|severity|levelname|log\.level|log_level|loglevel)["']?\s*[:=]\s*["']?[A-Za-z0-9]+"""
_CAPITALS = r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|FATAL|PANIC|EMERG|ALERT)\b"
_BRACKETED = r"\[(?:trace|debug|info|notice|warn|warning|error|err|crit|critical|fatal|panic)\]"
_LETTER = r"^[DIWEFC]\d{4} \d\d:\d\d:\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?: [DIWEF] "
_TRACEBACK = (
    r"^Traceback \(most recent call last\)|^Exception in thread |"
    r"^(?:[\w$]+\.)+\w*(?:Exception|Error)\b|^\w+(?:Exception|Error): "
)
_PANIC = r"^panic: |^fatal error: |^thread '.*' panicked|^Segmentation fault|^terminate called"

_FATAL_SIGN = re.compile(_PANIC.lower())
_ERROR_SIGN = re.compile(r"^traceback|exception|^[a-z.]+error(:|$)")
_LETTER_SIGN = re.compile(r"^[diwefc]\d{4} ", re.ASCII)
_LAST_WORD = re.compile(r"([a-z0-9]+)[^a-z0-9]*$")
_LEVEL_OF_WORD = {word: level for level, words in WORDS.items() for word in words}

TRACE_ID = r"""(?i)(?:trace[_.-]?id|traceparent|x-b3-traceid)["']?\s*[:=]\s*["']?(?:00-)?([0-9a-f]{16,32})\b"""


def level_sign_sql(*, message: str, said: str) -> str:
    """Return the SQL of a level's sign, LowCardinality(String): what the document says, else what its text shows."""
    json_sign = f"extract(substring({message}, 1, {JSON_HEAD}), {_sql(_KEY)})"
    text = "|".join((_KEY, _LETTER, _PANIC, _TRACEBACK, _BRACKETED, _CAPITALS))
    text_sign = f"extract(substring({message}, 1, {TEXT_HEAD}), {_sql(text)})"
    sign = f"if({said} != '', {said}, if(startsWith({message}, '{{'), {json_sign}, {text_sign}))"
    return f"toLowCardinality({sign})"


def level_of(sign: str) -> str:
    """Return the level a sign stands for, one of `record.LEVELS`."""
    lowered = sign.lower()
    if _FATAL_SIGN.search(lowered):
        return "fatal"
    if _ERROR_SIGN.search(lowered):
        return "error"
    word = lowered[:1] if _LETTER_SIGN.search(lowered) else _LAST_WORD.search(lowered)
    return _LEVEL_OF_WORD.get(word if isinstance(word, str) else word[1] if word else "", "unknown")


def trace_id_sql(*, message: str, said: str) -> str:
    """Return the SQL of the trace id, empty when there is none."""
    mentions = f"multiSearchAny({message}, ['trace', 'Trace', 'TRACE'])"
    return f"multiIf({said} != '', {said}, {mentions}, extract({message}, {_sql(TRACE_ID)}), '')"


def _sql(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
