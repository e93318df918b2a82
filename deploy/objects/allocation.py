"""GpuManager's allocation rules, as a table over the containers of rendered pods.

Source: tkestack/gpu-manager `pkg/services/allocator/nvidia/allocator.go` and `README.md`; tkestack/gpu-admission
`pkg/util/util.go`, which reads container limits and writes the `predicate-*` annotations. A pod that breaks one of
these is admitted by the API server and fails on the node, or is silently not seen by the scheduler: it is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deploy.errors import Refusal
from deploy.objects import Body
from deploy.settings import Cluster
from deploy.spec import gpu

LIBRARY_PATH = "LD_LIBRARY_PATH"
PREDICATE_RULE = "gpu-admission writes it at scheduling; a template that carries it is refused as predicated"
PREDICATE_PREFIXES = ("tencent.com/predicate-", "tencent.com/gpu-assigned")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one container asks of GpuManager; `card_mib` is the memory of one card that it can get."""

    requests: dict[str, Any]
    limits: dict[str, Any]
    env: frozenset[str]
    card_mib: int

    @property
    def core(self) -> int | None:
        """The vcuda cores of the limits, which the scheduler extender reads; None: absent, -1: no whole number."""
        return _number(self.limits.get(gpu.CORE))

    @property
    def memory(self) -> int | None:
        """The memory blocks of the limits; None: absent, -1: no whole number."""
        return _number(self.limits.get(gpu.MEMORY))

    @property
    def shares(self) -> bool:
        """Whether the container shares a card."""
        return self.core is not None and 0 < self.core < gpu.CORES_PER_CARD


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: which resource it reads, when it is broken, and its text, in which {card_mib} stands for a number."""

    subject: str
    broken: Callable[[Asked], bool]
    text: str

    def told(self, asked: Asked) -> str:
        """Return the text for what was asked."""
        return self.text.format(card_mib=asked.card_mib)


def _differs(asked: Asked, resource: str) -> bool:
    return str(asked.requests.get(resource, "")) != str(asked.limits.get(resource, ""))


RULES: tuple[Rule, ...] = (
    Rule(gpu.CORE, lambda a: a.core == -1, "it must be a whole number of hundredths of a card"),
    Rule(gpu.MEMORY, lambda a: a.memory == -1, "it must be a whole number of 256 MiB blocks"),
    Rule(
        gpu.CORE,
        lambda a: (a.core or 0) > gpu.CORES_PER_CARD and (a.core or 0) % gpu.CORES_PER_CARD != 0,
        "below 100 is a share of one card, above it must be a multiple of 100 (whole cards)",
    ),
    Rule(gpu.CORE, lambda a: a.core == 0, "a GPU container needs cores above zero"),
    Rule(
        gpu.MEMORY,
        lambda a: a.shares and not a.memory,
        "a share of a card needs memory above zero: GpuManager refuses it on the node, after scheduling",
    ),
    Rule(gpu.CORE, lambda a: a.core is None and a.memory is not None, "memory without cores is not allocated"),
    Rule(
        gpu.MEMORY,
        lambda a: a.shares and (a.memory or 0) * gpu.MIB_PER_BLOCK > _blocks_mib(a.card_mib),
        "a share cannot have more memory than one card, {card_mib} MiB "
        "(settings --cluster-gpu-memory-mib, --cluster-gpu-cards)",
    ),
    Rule(
        gpu.MEMORY,
        lambda a: (a.core or 0) >= gpu.CORES_PER_CARD and bool(a.memory),
        "a whole card is exclusive and its memory is not limited; leave the memory out",
    ),
    Rule(gpu.CORE, lambda a: _differs(a, gpu.CORE), "requests and limits must be equal"),
    Rule(gpu.MEMORY, lambda a: _differs(a, gpu.MEMORY), "requests and limits must be equal"),
    Rule(
        LIBRARY_PATH,
        lambda a: a.shares and LIBRARY_PATH in a.env,
        "it would load the real libcuda in place of GpuManager's and escape the limit of the share",
    ),
)


def broken(asked: Asked) -> Iterator[Rule]:
    """Yield the rules that a container breaks; none when it asks for no GPU."""
    if {gpu.CORE, gpu.MEMORY} & (asked.requests.keys() | asked.limits.keys()):
        yield from (rule for rule in RULES if rule.broken(asked))


def refusals(pods: Iterable[tuple[str, Body, Body]], cluster: Cluster) -> Iterator[Refusal]:
    """Yield what breaks a rule in these (field, pod template metadata, PodSpec)."""
    for field, metadata, pod in pods:
        for name, value in metadata.get("annotations", {}).items():
            if name.startswith(PREDICATE_PREFIXES):
                yield Refusal(f"{field}.metadata.annotations[{name}]", value, PREDICATE_RULE)
        model = pod.get("nodeSelector", {}).get(gpu.MODEL_LABEL)
        card_mib = gpu.card_memory_mib(cluster.gpu_cards, model, cluster.gpu_memory_mib)
        for kind in ("initContainers", "containers"):
            for index, container in enumerate(pod.get(kind, [])):
                yield from _container(f"{field}.spec.{kind}[{index}]", container, card_mib)


def _container(field: str, container: Body, card_mib: int) -> Iterator[Refusal]:
    resources = container.get("resources", {})
    env = frozenset(str(item.get("name")) for item in container.get("env", []))
    asked = Asked(resources.get("requests", {}), resources.get("limits", {}), env, card_mib)
    for rule in broken(asked):
        path = f"{field}.env" if rule.subject == LIBRARY_PATH else f"{field}.resources.limits"
        value = "set" if rule.subject == LIBRARY_PATH else asked.limits.get(rule.subject)
        yield Refusal(f"{path}[{rule.subject}]", value, rule.told(asked))


def _number(quantity: Any) -> int | None:
    if quantity is None:
        return None
    text = str(quantity)
    return int(text) if text.isdigit() else -1


def _blocks_mib(mib: int) -> int:
    return mib // gpu.MIB_PER_BLOCK * gpu.MIB_PER_BLOCK
