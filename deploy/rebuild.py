"""Building a custom server's image anew, and rolling the result out: the template, the Job and the edits. Pure.

    template + base, commit, target ─▶ Job ─▶ runs in the model's namespace ─▶ digest in its termination message
                                                                                 └─▶ a rollout of the spec with it

How an image is built is the company's own: the template is a batch/v1 Job as YAML, with `{{base}}`, `{{commit}}`,
`{{target}}`, `{{name}}`, `{{namespace}}` and `{{unit}}` in its strings. Values are put in after the YAML is read, so
none of them can become structure. The container `build` (else the first one) writes the digest of what it pushed,
`sha256:…` or `repository@sha256:…`, to its termination message. The rendered Job is kept in the record, so whoever
converges the model goes on with it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from msgspec.structs import replace

from deploy.environments import proposals
from deploy.environments.proposals import Wish
from deploy.errors import Refusal, Refused
from deploy.objects import MANAGED_BY, PREFIX, Body
from deploy.record import Rebuild, Record, RolloutPlan, edits
from deploy.record.journal import Deed, begun, refuse_during_rollout, stable_of
from deploy.rules import servings
from deploy.spec import ModelSpec, Unit

REBUILD_LABEL = f"{PREFIX}/rebuild"
CONTAINER = "build"
KEPT_S = 86_400
"""A Job that has ended is kept for a day, unless its template says otherwise."""

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_RESULT = re.compile(r"^(?:(?P<repository>[^\s@]+)@)?(?P<digest>sha256:[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be built: pushed as `target` (`repository:tag`), from a base image or a commit, for a unit ("" = the
    model's only one), and how the result is rolled out."""

    target: str
    plan: RolloutPlan
    base: str = ""
    commit: str = ""
    unit: str = ""


def job_of(template: str, ask: Ask, record: Record, deed_id: str, *, timeout_s: float) -> Body:
    """Return the Job of a template. Raises Refused naming the place in the template."""
    try:
        document = yaml.safe_load(template)
    except yaml.YAMLError as error:
        raise Refused([Refusal("template", "unreadable", f"it must be YAML: {error}")]) from error
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("batch/v1", "Job"):
        raise Refused([Refusal("template", "another kind", "it must be one Job of batch/v1")])
    given = {
        "base": ask.base, "commit": ask.commit, "target": ask.target, "unit": ask.unit,
        "name": record.name, "namespace": record.namespace,
    }  # fmt: skip
    body: Body = _filled(document, given, "template")
    labels = dict((body.get("metadata") or {}).get("labels") or {}) | MANAGED_BY | {REBUILD_LABEL: record.name}
    body["metadata"] = {**(body.get("metadata") or {}), "name": f"{record.name}-rebuild-{deed_id}", "labels": labels}
    body["metadata"]["namespace"] = record.namespace
    spec = body.setdefault("spec", {})
    spec.setdefault("activeDeadlineSeconds", round(timeout_s))
    spec.setdefault("ttlSecondsAfterFinished", KEPT_S)
    spec.setdefault("backoffLimit", 0)
    return body


def rebuild(record: Record, ask: Ask, job: Body, deed: Deed, *, needed: int = 0) -> Record:
    """Want this Job and then a rollout of its image; `needed` approvals make the rollout wait for them."""
    spec = edits.spec_of(record, stable_of(record, "rebuild"))
    refuse_during_rollout(record, "rebuild")
    if record.migration is not None:
        rule = f"{record.key} is being migrated, and a route carries one split: finish or cancel the migration first"
        raise Refused([Refusal("migration.split", str(record.migration.split), rule)])
    with_image(spec, ask.unit, ask.target)
    origin = ", ".join(f"{word} {value}" for word, value in (("commit", ask.commit), ("base", ask.base)) if value)
    wanted = Rebuild(deed.id, job, ask.target, ask.unit, ask.plan, needed, origin)
    return begun(replace(record, rebuild=wanted), deed, "rebuild", f"{ask.target} {origin}".strip())


def built(record: Record, message: str, *, now: float) -> Record:
    """Roll the built image out, or propose that, as the deed of whoever asked. Refused without a digest."""
    wanted, operation = record.rebuild, record.operation
    if wanted is None or operation is None:
        return record
    image = image_of(wanted.target, message)
    deed = Deed(operation.author, now, f"rebuilt {image}" + (f" ({wanted.origin})" if wanted.origin else ""), wanted.id)
    record = replace(record, rebuild=None)
    spec = with_image(edits.spec_of(record, stable_of(record, "rebuild")), wanted.unit, image)
    if not wanted.needed:
        return edits.start_rollout(record, spec, wanted.plan, deed)
    wish = Wish("rollout", spec, wanted.plan, origin=f"rebuild {wanted.id}")
    return edits.ended(proposals.propose(record, wish, deed, needed=wanted.needed), now=now)


def unbuilt(record: Record, why: str, *, now: float) -> Record:
    """End a rebuild that failed or was given up; what serves stays."""
    return edits.ended(replace(record, rebuild=None), now=now, failed=why)


def cancelled(record: Record, *, now: float) -> Record:
    """Forget a rebuild that was given up, once its Job is gone."""
    if record.rebuild is None:
        return record
    ours = record.operation is not None and record.operation.verb == "rebuild"
    why = record.rebuild.cancelled
    return unbuilt(record, why, now=now) if ours else replace(record, rebuild=None)


def image_of(target: str, message: str) -> str:
    """Return the image that a termination message names, always by digest. Raises Refused."""
    match = _RESULT.match(message.strip())
    if match is None:
        shown = message.strip()[:200]
        rule = f"the container {CONTAINER} must end with sha256:… or repository@sha256:… of what it pushed"
        raise Refused([Refusal("termination message", shown, rule)])
    return f"{match['repository'] or _repository(target)}@{match['digest']}"


def with_image(spec: ModelSpec, unit: str, image: str) -> ModelSpec:
    """Return the spec with this image in its only server, or in a unit of its graph. Raises Refused."""
    if spec.graph is None and unit in ("", spec.unit or spec.name):
        if spec.image is None:
            rule = "it runs a reusable server, whose image is Seldon's; a model of its own image can be rebuilt"
            raise Refused([Refusal("image", None, rule)])
        return replace(spec, image=image)
    found = [one.name for _, one in servings(spec) if isinstance(one, Unit) and one.image is not None]
    if spec.graph is None or unit not in found:
        raise Refused([Refusal("unit", unit, f"units with an image of their own: {', '.join(found) or 'none'}")])
    return replace(spec, graph=_unit_with_image(spec.graph, unit, image))


def _unit_with_image(unit: Unit, name: str, image: str) -> Unit:
    children = tuple(_unit_with_image(child, name, image) for child in unit.children)
    return replace(unit, children=children, image=image if unit.name == name else unit.image)


def _repository(target: str) -> str:
    head, slash, last = target.rpartition("/")
    return f"{head}{slash}{last.partition('@')[0].partition(':')[0]}"


def _filled(value: Any, given: Mapping[str, str], at: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, given, f"{at}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, given, f"{at}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return copy.copy(value)

    def put(match: re.Match[str]) -> str:
        word = match[1]
        if word not in given:
            raise Refused([Refusal(at, match[0], f"there are {', '.join('{{' + name + '}}' for name in given)}")])
        if not given[word]:
            raise Refused([Refusal(word, None, f"the template uses {match[0]} at {at}: give --{word}")])
        return given[word]

    return _PLACEHOLDER.sub(put, value)
