"""What can go wrong with a download, split by whether the same command may succeed later.

FetchError
├── Refused      the address, the settings, the folder or the model are at fault: trying again changes nothing
└── Unreachable  servers did not answer in time, or the model changed meanwhile: trying again may help
"""

# ruff: noqa: N818 - the names say what happened; the common root says that they are errors
from __future__ import annotations


class FetchError(Exception):
    """The root of the tree; the message is one line for a person."""


class Refused(FetchError):
    """Somebody has to change something first."""


class Unreachable(FetchError):
    """It may work later; `host` is the one at fault, empty when it is none or several."""

    def __init__(self, message: str, host: str = "") -> None:
        self.host = host
        super().__init__(message)
