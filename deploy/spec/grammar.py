"""The grammar of Kubernetes: names, labels, image references and quantities, as its API server reads them.

Seldon's CRD takes a PodSpec as it comes, so the API server accepts a bad name there and the Deployment made of it
fails later, in Seldon's controller. Sources: k8s.io/apimachinery `pkg/util/validation/validation.go` and
`pkg/api/resource/quantity.go`; distribution/reference `regexp.go`.
"""

from __future__ import annotations

import re
from decimal import Decimal

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_IMAGE = re.compile(
    r"([A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]+)?/)?"
    r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,})?"
)
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")
_SUFFIXES = {"m": Decimal("0.001"), "": Decimal(1)}
_SUFFIXES |= {suffix: Decimal(1000 ** (power + 1)) for power, suffix in enumerate("kMGTPE")}
_SUFFIXES |= {f"{suffix}i": Decimal(1024 ** (power + 1)) for power, suffix in enumerate("KMGTPE")}


def is_dns_label(text: str) -> bool:
    """Return whether it can name a namespace or a volume (RFC 1123, 63 characters)."""
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """Return whether it can name a Secret, a ServiceAccount or a PriorityClass (253 characters)."""
    return len(text) <= 253 and _DNS_NAME.fullmatch(text) is not None


def is_data_key(text: str) -> bool:
    """Return whether it can be a key of a Secret."""
    return len(text) <= 253 and _DATA_KEY.fullmatch(text) is not None


def is_qualified_name(text: str) -> bool:
    """Return whether it can be the key of a label or an annotation: `name` or `domain/name`."""
    domain, slash, name = text.rpartition("/")
    return len(name) <= 63 and _NAME.fullmatch(name) is not None and (not slash or is_dns_name(domain))


def is_label_value(text: str) -> bool:
    """Return whether it can be the value of a label; empty can."""
    return not text or (len(text) <= 63 and _NAME.fullmatch(text) is not None)


def is_image(text: str) -> bool:
    """Return whether it is a reference to a container image."""
    return _IMAGE.fullmatch(text) is not None


def quantity(text: str) -> Decimal | None:
    """Return the number that a resource quantity such as `500m` or `4Gi` stands for; None when it is none."""
    match = _QUANTITY.fullmatch(text)
    factor = _SUFFIXES.get(match[2]) if match else None
    return Decimal(match[1]) * factor if match and factor is not None else None
