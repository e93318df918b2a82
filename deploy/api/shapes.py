"""What the API takes and answers, as types: the routes use them, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deploy.environments import Environment
from deploy.record import AuditEntry, Operation, Proposal, Revision, RolloutPlan, Track
from deploy.spec import ModelSpec
from deploy.spec.release import External, Split
from deploy.status.row import Row
from deploy.why import Finding


class RolloutRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spec of the candidate and how it takes over; a plan without steps is blue/green."""

    spec: ModelSpec
    plan: RolloutPlan = RolloutPlan()


class MigrationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`split`: share requests between the old address and the model (`old` is needed the first time). `back`: all to
    the old address, at once. `finish`: at 100 %, give the route to the model alone."""

    action: Literal["split", "back", "finish"] = "split"
    old: External | None = None
    split: Split | None = None


class RebuildRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image to build (`repository:tag`), from what, for which unit, and how the result is rolled out."""

    image: str
    base: str = ""
    commit: str = ""
    unit: str = ""
    plan: RolloutPlan = RolloutPlan()


class ProposalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that needs approvals: a spec, unless it is a deletion, and a plan for a rollout."""

    verb: str = "apply"
    spec: ModelSpec | None = None
    plan: RolloutPlan | None = None
    origin: str = ""


class ModelsPage(msgspec.Struct, frozen=True, rename={"next": "continue"}):
    """A page of models; `continue` is the token of the next one ("" = this is the last), `mark` is where a watch goes
    on, `stale_since` (Unix seconds) is not 0 while a watch of the cluster is interrupted."""

    models: tuple[Row, ...]
    next: str
    remaining: int
    mark: str
    stale_since: float


class ModelShown(msgspec.Struct, frozen=True):
    """The revision that serves, the tracks and the last operation."""

    revision: Revision | None
    tracks: tuple[Track, ...]
    operation: Operation | None


class History(msgspec.Struct, frozen=True):
    """Each applied spec and the audit trail, oldest first."""

    revisions: tuple[Revision, ...]
    audit: tuple[AuditEntry, ...]


class Findings(msgspec.Struct, frozen=True):
    """Why a model does not serve, the reason to begin with first."""

    findings: tuple[Finding, ...]


class Difference(msgspec.Struct, frozen=True):
    """What an apply would change: as text, and in how many objects."""

    text: str
    changes: int


class Adoptable(msgspec.Struct, frozen=True):
    """The spec that a SeldonDeployment would be adopted as, and what would change, as text."""

    spec: dict[str, Any]
    text: str


class EnvironmentShown(msgspec.Struct, frozen=True):
    """The server's environment with its policy; null where it has none."""

    environment: Environment | None


class ProposalShown(msgspec.Struct, frozen=True):
    """What waits for approvals (null: nothing), and whether the model has changed since it was proposed."""

    proposal: Proposal | None
    stale: bool


class JobShown(msgspec.Struct, frozen=True):
    """A change being carried out: its last lines of progress, and how many before them were dropped."""

    id: str
    model: str
    verb: str
    state: Literal["running", "paused", "done", "failed"]
    error: str
    progress: list[str]
    dropped: int
