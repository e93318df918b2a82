"""Why a model does not serve: a table of rules over what the cluster shows, with what to do about each.

Every rule is a row: what it looks at (`deploy.why.symptoms`) and what to do. Rules are in the order of the way to a
serving model, so the first finding is the one to begin with. Exit code 132 is 128 + SIGILL (4): the server's binary
needs CPU instructions that the node lacks, as TensorFlow's official builds do without AVX (tensorflow/tensorflow
#18147).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploy.why.symptoms import (
    Evidence,
    Matches,
    absent,
    ended,
    evicted,
    failed_state,
    idle,
    killed,
    no_endpoints,
    no_route,
    not_merged,
    out_of_memory,
    refused,
    said,
    unseen,
    unsettled,
    untouched,
    waiting,
)
from milepost.preflight import EXIT_MISSING

Severity = Literal["fault", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason: the rule, what it was found on, the words found there, what to do, and whose log to read.

    A `fault` keeps the model from serving; a `note` says what could not be known.
    """

    rule: str
    about: str
    found: str
    todo: str
    pod: str = ""
    container: str = ""
    severity: Severity = "fault"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table."""

    name: str
    matches: Matches
    todo: str
    severity: Severity = "fault"


def why(evidence: Evidence) -> tuple[Finding, ...]:
    """Return every finding, in the order of the table; the same thing about the same object is told once."""
    found: dict[tuple[str, str], Finding] = {}
    for rule in RULES:
        for about, text, pod, container in rule.matches(evidence):
            finding = Finding(rule.name, about, text, rule.todo, pod, container, rule.severity)
            found.setdefault((rule.name, about), finding)
    return tuple(found.values())


RULES: tuple[Rule, ...] = (
    Rule("webhook refused", refused, "change what the message names; `milepost model diff` shows it beforehand"),
    Rule("not deployed", absent, "`milepost model converge` applies what is written down"),
    Rule(
        "Seldon does nothing",
        untouched,
        "is its controller running, and does it watch this namespace (label `seldon.io/controller-id`)? "
        "`milepost install --check` looks at the cluster",
    ),
    Rule(
        "quota",
        said(r"exceeded quota"),
        "ask for less in `resources` or `gpu`, remove something else, or have the ResourceQuota raised",
    ),
    Rule(
        "no free GPU block",
        said(r"vcuda|no free node|cores or memory is zero|ExceedsGPUQuota|nvidia\.com/gpu"),
        "ask for a smaller `gpu` share, free a card, or add GPU nodes; a share needs cores and memory",
    ),
    Rule(
        "no node fits",
        said(r"nodes are available|didn't match Pod's node affinity|Insufficient (cpu|memory)"),
        "compare `resources`, `nodeSelector` and `cpuFeatures` with the nodes; "
        "AVX2 is asked of TensorFlow by node-feature-discovery's label",
    ),
    Rule(
        "image pull",
        waiting("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        "check the image's name and tag, and the pull secret of the ServiceAccount",
    ),
    Rule(
        "configuration of a container",
        waiting("CreateContainerConfigError", "CreateContainerError"),
        "a Secret or key that the spec refers to is missing in the namespace",
    ),
    Rule(
        "a volume is not mounted",
        said(r".", reasons=("FailedMount", "FailedAttachVolume")),
        "a Secret of `mountSecrets` or the claim of a pvc:// model is missing, or bound elsewhere",
    ),
    Rule(
        "the CPU lacks features",
        ended(lambda end: end.exit_code == EXIT_MISSING, "preflight"),
        "the preflight names them: run on other nodes (`nodeSelector`, or node-feature-discovery and "
        "`cpuCheck: affinity`), or use an image built without them and say so in `cpuFeatures`",
    ),
    Rule(
        "the preflight failed",
        ended(lambda end: end.exit_code not in (0, EXIT_MISSING), "preflight"),
        "it could not tell what the CPU has: check the image of --cluster-preflight-image, or set `cpuCheck`",
    ),
    Rule(
        "initializer out of memory",
        ended(out_of_memory, "initializers"),
        "raise the initializer's memory limit (seldon-config, `storageInitializer`)",
    ),
    Rule(
        "initializer failed",
        ended(lambda end: end.exit_code != 0 and not out_of_memory(end), "initializers"),
        "the message is the initializer's own: check `modelUri`, `storage.secret` and that the folder is not empty",
    ),
    Rule(
        "no AVX",
        ended(lambda end: end.exit_code == 132),
        "illegal instruction: set `cpuFeatures: [AVX2]` and `cpuCheck: affinity`, or use an image built without AVX",
    ),
    Rule(
        "out of memory",
        ended(out_of_memory),
        "raise `resources.limits.memory`: loading often needs more than serving",
    ),
    Rule(
        "a probe kills a slow loader",
        said(r"(startup|liveness) probe failed", reasons=("Unhealthy",)),
        "raise `probes.startupSeconds` above the time that loading takes",
    ),
    Rule(
        "the server crashes",
        ended(lambda end: end.exit_code not in (132, 137, 143) and end.reason != "OOMKilled"),
        "read the log below; the exit code is the server's own, 0 means that it ended by itself",
    ),
    Rule(
        "killed",
        ended(killed),
        "something outside ended it: a probe (raise `probes.startupSeconds`), a drain or the node",
    ),
    Rule("evicted", evicted, "the node ran short: set `resources.requests` to what the model really takes"),
    Rule("scaled to zero", idle, "`milepost model scale` brings it back; under KEDA a request of its triggers does"),
    Rule(
        "canary not merged",
        not_merged,
        "a canary's Service may be the main backend of no Ingress, and a path have one canary: change the other "
        "Ingress or take it away; `milepost model converge` repairs our own",
    ),
    Rule("route missing", no_route, "`milepost model converge` applies it again"),
    Rule("route without endpoints", no_endpoints, "no pod is ready: the other findings say why"),
    Rule("Seldon says failed", failed_state, "see the Deployments' conditions: kubectl describe"),
    Rule("not ready", unsettled, "the other findings say why; without any it is on its way: `milepost model watch`"),
    Rule(
        "not looked at",
        unseen,
        "ask with an account that may: one of them can keep the canary from its requests",
        severity="note",
    ),
)
"""Every rule, in the order of the way from an apply to a served request."""
