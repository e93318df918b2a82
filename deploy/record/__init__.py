"""What the cluster remembers about one model: its revisions, what serves now, and what is being done.

The record is one ConfigMap per model, `milepost-model-<name>`, in the model's namespace. It is the journal as well: an
operation is *wanted state written down before anything is touched*. Nothing else has to survive, since the next step is
always computed from the record and from what the cluster shows (`deploy.plan.steps`). A process may therefore be killed
between any two steps; whoever converges the model next goes on from there.

Words used everywhere in this package:

* *revision*: a numbered copy of a model spec as somebody applied it, never changed afterwards;
* *track*: a predictor of the SeldonDeployment and the revision that it runs. The *stable* track has the model's main
  route, a rollout's *candidate* track has the second one, a *leaving* track is drained and then removed;
* *split*: which requests go to the candidate (weight, header, cookie);
* *operation*: the last verb that somebody gave, and how far it is.

Bounds: `REVISIONS_KEPT` revisions and `AUDIT_KEPT` audit entries, oldest out first, and `RECORD_BYTES_MAX` for the
whole document, because etcd and the ConfigMap limit are 1 MiB. A revision that serves, or that a rollout runs, is
never dropped. The full audit trail is the log (`milepost.audit`), the record keeps its recent end.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from deploy.errors import Refusal, Refused
from deploy.spec.release import External, Split

FORMAT = 1
REVISIONS_KEPT = 20
AUDIT_KEPT = 100
VERDICTS_KEPT = 20
RECORD_BYTES_MAX = 900 * 1024

Document = dict[str, Any]


class Track(msgspec.Struct, frozen=True):
    """A predictor and the revision it runs."""

    predictor: str
    revision: int


class Revision(msgspec.Struct, frozen=True):
    """One applied spec: never changed once written. `adopted`: its pods were there before, without our annotations."""

    number: int
    spec: Document
    author: str
    at: float
    reason: str
    digest: str
    adopted: bool = False


class Thresholds(msgspec.Struct, frozen=True, omit_defaults=True):
    """When the candidate is bad. Ratios are 0..1, latencies seconds; a limit of 0 is not applied.

    `error_ratio_max` is absolute, `error_ratio_worse` is how much above the stable track; `p99_max_s` is absolute and
    `p99_worse` a factor over the stable track. Under `requests_min` requests nothing is judged.
    """

    error_ratio_max: float = 0.05
    error_ratio_worse: float = 0.01
    p99_max_s: float = 0.0
    p99_worse: float = 1.5
    requests_min: int = 50
    window_s: float = 60.0


class RolloutStep(msgspec.Struct, frozen=True):
    """A split and how long it is held, in seconds, before the next step."""

    split: Split
    hold_s: float


class RolloutPlan(msgspec.Struct, frozen=True):
    """How a candidate takes over.

    Without steps this is blue/green: straight from ready to promoted. `judged` False goes on by time alone.
    `unknown` says what to do when a step has too few requests to judge for `unknown_s_max` seconds after its hold.
    `auto_promote` False pauses before the promotion. `keep_s` keeps the replaced track running, so that a rollback is
    a change of the route alone.
    """

    steps: tuple[RolloutStep, ...] = ()
    judged: bool = True
    thresholds: Thresholds = Thresholds()
    unknown: Literal["pause", "go-on", "abort"] = "pause"
    unknown_s_max: float = 600.0
    auto_promote: bool = True
    keep_s: float = 0.0


class JudgedStep(msgspec.Struct, frozen=True):
    """One judgement as the record keeps it."""

    at: float
    step: int
    verdict: str
    reason: str


RolloutPhase = Literal["preparing", "progressing", "paused"]


class Rollout(msgspec.Struct, frozen=True):
    """A rollout in progress. `ready` once the candidate could serve; `step` is -1 before the first one; `held_from`
    is when traffic really came to be split as the step says (0: not yet)."""

    candidate: Track
    plan: RolloutPlan
    phase: RolloutPhase = "preparing"
    ready: bool = False
    step: int = -1
    held_from: float = 0.0
    note: str = ""
    judged: tuple[JudgedStep, ...] = ()

    @property
    def split(self) -> Split | None:
        """The split wanted now, or None while nothing is sent to the candidate."""
        return self.plan.steps[self.step].split if 0 <= self.step < len(self.plan.steps) else None


class Migration(msgspec.Struct, frozen=True):
    """The model's traffic between its old address and the stable track: `split` is the part that is new."""

    old: External
    split: Split


class Operation(msgspec.Struct, frozen=True):
    """The last verb given and how far it is; `message` is what to tell, `before` the stable track it started from."""

    id: str
    verb: str
    author: str
    at: float
    reason: str
    state: Literal["running", "paused", "done", "failed"] = "running"
    message: str = ""
    atomic: bool = False
    before: Track | None = None
    ended: float = 0.0


class Vote(msgspec.Struct, frozen=True):
    """One approval: by whom, when and why."""

    author: str
    at: float
    reason: str


class Proposal(msgspec.Struct, frozen=True):
    """A change that waits for approvals; nothing of it is wanted yet.

    `verb` is what would be done: create or apply `spec`, a rollout of it by `plan`, or delete. `base` is the revision
    that was stable when it was proposed (0: none): on any other it is stale. `origin` says where the spec comes from.
    """

    id: str
    verb: str
    spec: Document | None
    plan: RolloutPlan | None
    author: str
    at: float
    reason: str
    needed: int
    base: int = 0
    origin: str = ""
    votes: tuple[Vote, ...] = ()


class Rebuild(msgspec.Struct, frozen=True):
    """An image that is being built: by `job`, pushed as `target`, for a unit, then rolled out by `plan`.

    With `needed` approvals the rollout is proposed. `cancelled` says by whom, until the Job is removed.
    """

    id: str
    job: Document
    target: str
    unit: str
    plan: RolloutPlan
    needed: int = 0
    origin: str = ""
    cancelled: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what and when; `detail` is one line."""

    at: float
    author: str
    verb: str
    detail: str


class Record(msgspec.Struct, frozen=True):
    """All that is remembered of a model. Replaced whole, by compare-and-swap, never changed in place."""

    namespace: str
    name: str
    format: int = FORMAT
    next_revision: int = 1
    stable: Track | None = None
    rollout: Rollout | None = None
    migration: Migration | None = None
    operation: Operation | None = None
    revisions: tuple[Revision, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    leaving: tuple[Track, ...] = ()
    restarted_at: float = 0.0
    drain_until: float = 0.0
    keep_s: float = 0.0
    deleting: bool = False
    proposal: Proposal | None = None
    rebuild: Rebuild | None = None

    @property
    def key(self) -> str:
        """`namespace/name`, as messages say it."""
        return f"{self.namespace}/{self.name}"

    def revision(self, number: int) -> Revision:
        """Return a revision. Raises Refused with the numbers that are kept when it is not one of them."""
        for revision in self.revisions:
            if revision.number == number:
                return revision
        kept = ", ".join(str(item.number) for item in self.revisions) or "none"
        rule = f"{self.key} keeps the revisions {kept} (at most {REVISIONS_KEPT})"
        raise Refused([Refusal("revision", number, rule)])

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks that run: the stable one, the candidate, and those that are being drained."""
        candidate = self.rollout.candidate if self.rollout else None
        return tuple(track for track in (self.stable, candidate, *self.leaving) if track is not None)

    @property
    def active(self) -> bool:
        """Whether somebody has to converge this model still."""
        return self.operation is not None and self.operation.state == "running"


def digest(document: object) -> str:
    """Return a short digest of a JSON-like value that does not depend on the order of keys."""
    canonical = msgspec.json.encode(document, order="sorted")
    return hashlib.sha256(canonical).hexdigest()[:16]
