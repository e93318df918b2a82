"""A cluster as numbers: just enough of Seldon and Kubernetes to walk every order of steps in microseconds.

It keeps what was applied and turns it into a `Seen`. A predictor becomes ready `delay` looks after its pods changed.
`check` states what must hold after every single step; the tests on a real API server prove that the model is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy import rollout
from deploy.objects import KubeObject
from deploy.plan.steps import Apply, Await, Forget, Remove, StartDrain, Step, Wait, plan
from deploy.plan.wanted import wanted
from deploy.record import Record, edits
from deploy.rollout.judge import Verdict
from deploy.route.handover import MainRoute, main_route
from deploy.seen import FINGERPRINT_ANNOTATION, ROUTE_KINDS, Address, Seen, SeenPredictor, services_of
from deploy.settings import Cluster

CLUSTER = Cluster()
SETTLE_S = 5.0


@dataclass
class World:
    """The cluster, the clock and the record. `step` is one round of the loop in `deploy.operate.converge`."""

    record: Record
    delay: int = 2
    now: float = 1000.0
    verdict: Verdict = field(default_factory=lambda: Verdict("pass", "fine"))
    objects: dict[Address, KubeObject] = field(default_factory=dict)
    digests: dict[Address, str] = field(default_factory=dict)
    pods: dict[str, tuple[str, int]] = field(default_factory=dict)
    applied: set[Address] = field(default_factory=set)
    named: dict[str, float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def step(self) -> Step | None:
        """Look, plan, do the first step; without one, advance. None when nothing is left to do."""
        self.now += 1
        self._tick()
        seen = self.seen()
        asked = wanted(self.record, seen, cluster=CLUSTER, settle_s=SETTLE_S, now=self.now)
        trusted = {address: digest for address, digest in self.digests.items() if address in self.applied}
        steps = plan(self.record, asked, _trusting(seen, trusted), now=self.now)
        if not steps:
            self._advance()
            return None
        self._carry_out(steps[0], asked.digests)
        self.check()
        return steps[0]

    def kill(self) -> None:
        """Lose what only a process remembers."""
        self.applied.clear()

    def settle(self, most: int = 300) -> None:
        """Go on until nothing is left to do."""
        for _ in range(most):
            before = self.record
            if self.step() is None and self.record == before:
                return
        raise AssertionError(f"not settled after {most} steps: {self.log[-10:]}")

    def seen(self) -> Seen:
        """Return what a look would show."""
        seldon = next((item for item in self.objects.values() if item.kind == "SeldonDeployment"), None)
        predictors = {one["name"]: self._predictor(one) for one in seldon.body["spec"]["predictors"]} if seldon else {}
        return Seen(
            exists=seldon is not None,
            state="Available" if seldon else "",
            declared=tuple(predictors),
            predictors=predictors,
            objects=frozenset(self.objects),
            digests=dict(self.digests),
            routed=frozenset(name for services in self.routes.values() for name in services),
            main=self.main,
        )

    @property
    def main(self) -> MainRoute | None:
        """The main Ingress as it is."""
        found = next((item for item in self.objects.values() if item.kind == "Ingress" and item.name == "m"), None)
        return main_route(found.body["spec"], found.body["metadata"]["annotations"]) if found else None

    @property
    def routes(self) -> Mapping[str, tuple[str, ...]]:
        """Route name → Services that it leads to."""
        found = [item for item in self.objects.values() if item.kind in ROUTE_KINDS]
        return {item.name: tuple(dict.fromkeys(services_of(item.body))) for item in found}

    def check(self) -> None:
        """What holds after every step: whatever a route leads to exists and has been ready, and no canary Service is
        a main one."""
        predictors = self.seen().predictors
        services = {f"m-{name}" for name in predictors}
        ready = {f"m-{name}" for name in predictors if self.pods[name][1] >= self.delay}
        for route, targets in self.routes.items():
            ours = [name for name in targets if name != "old"]
            assert set(ours) <= services, f"{route} leads to a removed predictor: {self.log}"
            assert set(ours) <= ready or len(predictors) == 1, f"{route} leads to a predictor that is not ready"
        main, canary = self.routes.get("m", ()), self.routes.get("m-canary", ())
        assert not canary or main, f"a canary without its main route: {self.log}"

    def _tick(self) -> None:
        self.pods = {name: (print_, age + 1) for name, (print_, age) in self.pods.items()}

    def _advance(self) -> None:
        if self.record.rollout is None:
            if self.record.active:
                self.record = edits.ended(self.record, now=self.now)
            return
        begun = self.record.rollout.phase == "progressing" and self.record.rollout.held_from > 0
        self.record = rollout.advance(self.record, now=self.now, verdict=self.verdict if begun else None)

    def _carry_out(self, step: Step, digests: Mapping[Address, str]) -> None:
        self.log.append(f"{type(step).__name__} {step.what}")
        match step:
            case Apply(objects):
                for item in objects:
                    self._moves(item)
                    self.objects[item.address] = item
                    self.digests[item.address] = digests[item.address]
                    self.applied.add(item.address)
                self._deploy()
            case Remove(addresses):
                for address in addresses:
                    self.objects.pop(address, None)
                    self.digests.pop(address, None)
            case StartDrain(seconds):
                self.record = edits.draining(self.record, until=self.now + seconds)
            case Forget():
                self.record = edits.forgotten(self.record)
            case Wait() | Await():
                pass

    def _moves(self, item: KubeObject) -> None:
        """The main route moves only between Services that the router knows: named before for long enough, and after."""
        before = self.main
        if item.kind != "Ingress" or item.name != "m" or self.objects.get(item.address) == item:
            return
        after = main_route(item.body["spec"], item.body["metadata"]["annotations"])
        assert after is not None
        if before is not None and before.primary != after.primary:
            assert after.primary in before.standby, f"moved to {after.primary}, which was not named before: {self.log}"
            known_s = self.now - self.named[after.primary.service]
            assert known_s >= SETTLE_S, f"moved after {known_s} s: {self.log}"
            named = {backend.service for backend in after.standby} | set(self.migrated)
            assert before.primary.service in named, f"{before.primary} is forgotten with the move: {self.log}"
        services = (after.primary.service, *(backend.service for backend in after.standby))
        self.named = {name: self.named.get(name, self.now) for name in services}

    @property
    def migrated(self) -> tuple[str, ...]:
        """The Service that a migration sends its part to: a canary from then on, so it cannot stand by."""
        stable = self.record.stable
        return (f"m-{stable.predictor}",) if self.record.migration and stable else ()

    def _deploy(self) -> None:
        seldon = next((item for item in self.objects.values() if item.kind == "SeldonDeployment"), None)
        for one in seldon.body["spec"]["predictors"] if seldon else ():
            name, print_ = one["name"], one["annotations"][FINGERPRINT_ANNOTATION]
            if self.pods.get(name, ("", 0))[0] != print_:
                # A rolling update keeps the old pods until the new ones are ready, so one that was ready stays so.
                age = self.delay if name in self.pods and self.pods[name][1] >= self.delay else 0
                self.pods[name] = (print_, age)

    def _predictor(self, one: dict[str, object]) -> SeenPredictor:
        name, replicas = str(one["name"]), int(str(one.get("replicas", 1)))
        print_, age = self.pods[name]
        up = replicas if age >= self.delay else 0
        return SeenPredictor(
            name=name,
            fingerprints=frozenset({print_}),
            deployments=1,
            wanted=replicas,
            updated=up,
            available=up,
            total=up,
            observed=True,
            service=f"m-{name}",
            ports={"http": 8000},
            endpoints=up,
            complaint="",
        )


def _trusting(seen: Seen, digests: Mapping[Address, str]) -> Seen:
    return Seen(
        exists=seen.exists, going=seen.going, state=seen.state, declared=seen.declared, predictors=seen.predictors,
        objects=seen.objects, digests=digests, routed=seen.routed, main=seen.main,
    )  # fmt: skip
