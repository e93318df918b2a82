"""Building an image anew: the template and the record as tables, and the whole way with the real Job controller."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.errors import Refused
from deploy.rebuild import Ask, built, image_of, job_of, rebuild, with_image
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.spec import ModelSpec
from deploy.spec.file import from_document
from milepost.kube import ContentType, KubeClient, resource_path
from tests.deploy.test_operations import break_lock, model_namespace, routes, status
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, wait_for

# The node that the pod asks for does not exist, so kwok leaves it alone and the test is its kubelet.
TEMPLATE = """
apiVersion: batch/v1
kind: Job
metadata: {labels: {team: nlp}}
spec:
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {kubernetes.io/hostname: nowhere}
      containers:
        - name: build
          image: registry.example/builder:1
          args: ["--base={{base}}", "--commit={{ commit }}", "--push={{target}}", "--model={{namespace}}/{{name}}"]
"""
ASK = Ask("registry.example:5000/nlp/ner:2", RolloutPlan(), base="python:3.12", commit="4f2a91c")
DIGEST = "sha256:" + "ab" * 32
DEED = Deed("ada", 1000.0, "newer base", "d1")


def running(**changes: Any) -> Record:
    spec = from_document({"name": "ner", "namespace": "nlp", "image": "registry.example/ner:1", **changes})
    return edits.ended(edits.apply(Record("nlp", "ner"), spec, Deed("root", 1.0, id="first")), now=2.0)


def job(template: str = TEMPLATE, ask: Ask = ASK) -> dict[str, Any]:
    return job_of(template, ask, running(), "d1", timeout_s=60)


def test_a_template_is_filled_and_bounded() -> None:
    body = job()
    container = body["spec"]["template"]["spec"]["containers"][0]
    target = "--push=registry.example:5000/nlp/ner:2"
    assert container["args"] == ["--base=python:3.12", "--commit=4f2a91c", target, "--model=nlp/ner"]
    assert (body["metadata"]["name"], body["metadata"]["namespace"]) == ("ner-rebuild-d1", "nlp")
    assert body["metadata"]["labels"]["team"] == "nlp"
    assert body["spec"]["activeDeadlineSeconds"] == 60
    assert body["spec"]["backoffLimit"] == 0


def test_a_value_can_not_become_structure() -> None:
    body = job(ask=Ask('x", image: "evil', RolloutPlan(), "b", "c"))
    container = body["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][2] == '--push=x", image: "evil'
    assert container["image"] == "registry.example/builder:1"


@pytest.mark.parametrize(
    ("template", "ask", "told"),
    [
        (TEMPLATE, Ask("t:1", RolloutPlan(), base="b"), "commit is None: the template uses {{ commit }} at template"),
        (TEMPLATE.replace("{{base}}", "{{bse}}"), ASK, "args[0] is '{{bse}}': there are {{base}}, {{commit}}"),
        ("kind: Pod", ASK, "template is 'another kind'"),
        ("a: [", ASK, "template is 'unreadable'"),
    ],
)
def test_a_bad_template_is_told_by_its_place(template: str, ask: Ask, told: str) -> None:
    with pytest.raises(Refused) as refused:
        job(template, ask)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("message", "image"),
    [
        (DIGEST, f"registry.example:5000/nlp/ner@{DIGEST}"),
        (f"{DIGEST}\n", f"registry.example:5000/nlp/ner@{DIGEST}"),
        (f"mirror.example/ner@{DIGEST}", f"mirror.example/ner@{DIGEST}"),
    ],
)
def test_the_result_is_an_image_by_digest(message: str, image: str) -> None:
    assert image_of(ASK.target, message) == image


@pytest.mark.parametrize("message", ["", "ner:2", "sha256:abc", f"{DIGEST} pushed"])
def test_anything_else_is_no_result(message: str) -> None:
    with pytest.raises(Refused, match="must end with sha256"):
        image_of(ASK.target, message)


def test_the_image_of_a_unit_is_changed_and_a_reusable_servers_is_not() -> None:
    child = {"name": "model", "image": "i:1"}
    graph = {"name": "clean", "type": "transformer", "image": "t:1", "children": [child]}
    spec = from_document({"name": "m", "namespace": "n", "graph": graph})
    changed = with_image(spec, "model", "i:2")
    assert changed.graph is not None
    assert (changed.graph.image, changed.graph.children[0].image) == ("t:1", "i:2")
    with pytest.raises(Refused, match="units with an image of their own: clean, model"):
        with_image(spec, "", "i:2")
    reusable = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/m")
    with pytest.raises(Refused, match="a reusable server"):
        with_image(reusable, "", "i:2")


def test_what_is_built_becomes_a_rollout_of_its_authors() -> None:
    record = built(rebuild(running(), ASK, job(), DEED), DIGEST, now=2000.0)
    assert record.rebuild is None
    assert record.rollout is not None
    revision = record.revision(record.rollout.candidate.revision)
    assert revision.spec["image"] == f"registry.example:5000/nlp/ner@{DIGEST}"
    assert revision.author == "ada"
    assert "commit 4f2a91c, base python:3.12" in revision.reason


def test_where_a_rollout_needs_approvals_what_is_built_waits_for_them() -> None:
    record = built(rebuild(running(), ASK, job(), DEED, needed=1), DIGEST, now=2000.0)
    assert record.rollout is None
    assert record.proposal is not None
    assert (record.proposal.verb, record.proposal.author, record.proposal.needed) == ("rollout", "ada", 1)
    assert record.operation is not None
    assert record.operation.state == "done"


def test_other_changes_wait_for_the_build_and_abort_gives_it_up() -> None:
    record = rebuild(running(), ASK, job(), DEED)
    with pytest.raises(Refused, match="an image of nlp/ner is being built"):
        edits.scale(record, 3, DEED)
    aborted = edits.abort(record, DEED)
    assert aborted.rebuild is not None
    assert aborted.rebuild.cancelled == "aborted by ada"
    deleted = edits.delete(record, DEED)
    assert deleted.deleting
    assert deleted.rebuild is not None
    assert deleted.rebuild.cancelled


async def _pod(client: KubeClient, namespace: str) -> str:
    """Wait for the pod of a Job and return its name."""
    pods = resource_path("", "v1", "pods", namespace=namespace)
    found = await wait_for(client, pods, lambda listed: bool(_of_jobs(listed)), timeout_s=60)
    return _of_jobs(found)[0]


def _of_jobs(pods: dict[str, Any]) -> list[str]:
    found = [item["metadata"] for item in pods["items"]]
    return [item["name"] for item in found if "batch.kubernetes.io/job-name" in item.get("labels", {})]


async def end(client: KubeClient, namespace: str, *, phase: str, code: int, message: str) -> None:
    """Be the kubelet of the Job's pod: end it as a container that wrote this termination message."""
    path = resource_path(
        "", "v1", "pods", namespace=namespace, name=await _pod(client, namespace), subresource="status"
    )
    ended = {"exitCode": code, "reason": "Completed" if not code else "Error", "message": message}
    ended["finishedAt"] = "2026-01-01T00:00:00Z"
    container = {
        "name": "build", "image": "i", "imageID": "i", "ready": False, "restartCount": 0,
        "state": {"terminated": ended},
    }  # fmt: skip
    body = msgspec.json.encode({"status": {"phase": phase, "containerStatuses": [container]}})
    await client.request("PATCH", path, body=body, content_type=ContentType.MERGE)


@pytest.mark.cluster
@pytest.mark.slow
async def test_a_rebuild_fails_with_its_last_words_or_becomes_a_rollout(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"))
        (tmp_path / "job.yaml").write_text(TEMPLATE)
        asked = ("rebuild", cli.key, "--image", "registry.example/mnist:2", "--base", "b", "--commit", "4f2a91c")
        canary = ("--template", str(tmp_path / "job.yaml"), "--steps", "50", "--hold", "0", "--unjudged")
        failing = asyncio.create_task(cli.run(*asked, *canary, code=1))
        await end(client, cli.namespace, phase="Failed", code=3, message="step 4/7: pip: no such package\n")
        said = await failing
        assert "started" in said
        assert "BackoffLimitExceeded" in said
        assert "ended with 3 Error\nstep 4/7: pip: no such package" in said
        assert (await status(cli))["state"] == "failed"
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}
        await _remove_jobs(client, cli.namespace)

        # Killed while the build runs: whoever converges goes on, and the build is not started a second time.
        await cli.run(*asked, *canary, "--no-wait")
        assert "an image of" in await cli.run("scale", cli.key, "2", code=1)
        first = await cli.start("converge", cli.key)
        pod = await _pod(client, cli.namespace)
        first.kill()
        await first.communicate()
        await break_lock(client, cli.namespace)
        await end(client, cli.namespace, phase="Succeeded", code=0, message=DIGEST)
        await cli.run("converge", cli.key)
        assert await _pod(client, cli.namespace) == pod
        assert await routes(client, cli.namespace) == {"mnist": "mnist-r2"}
        assert f"registry.example/mnist@{DIGEST}" in await cli.run("history", cli.key, "-o", "json")


@pytest.mark.cluster
@pytest.mark.slow
async def test_a_rebuild_can_be_given_up_and_a_template_is_tried_first(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"))
        image = ("--image", "registry.example/mnist:2", "--base", "b", "--commit", "c")
        asked = ("rebuild", cli.key, *image, "--unjudged")
        assert "rebuild.template is ''" in await cli.run(*asked, code=1)
        document = yaml.safe_load(TEMPLATE)
        document["spec"]["template"]["spec"]["contaners"] = []
        config = {"metadata": {"name": "rebuild"}, "data": {"job.yaml": yaml.safe_dump(document)}}
        await create(client, resource_path("", "v1", "configmaps", namespace=cli.namespace), config)
        named = ("--rebuild-template", f"{cli.namespace}/rebuild")
        assert 'unknown field "spec.template.spec.contaners"' in await cli.run(*asked, *named, code=1)
        assert (await status(cli))["rollout"] == ""

        (tmp_path / "job.yaml").write_text(TEMPLATE)
        await cli.run(*asked, "--template", str(tmp_path / "job.yaml"), "--no-wait")
        assert (await status(cli))["rollout"].startswith("building registry.example/mnist:2")
        running = await cli.start("converge", cli.key)
        await _pod(client, cli.namespace)
        assert "aborted by ada" in await cli.run("rollout", "abort", cli.key)
        await running.communicate()
        jobs = resource_path("batch", "v1", "jobs", namespace=cli.namespace)
        await wait_for(client, jobs, lambda found: not found["items"], timeout_s=60)
        assert (await status(cli))["tracks"][0]["available"] == 1


async def _remove_jobs(client: KubeClient, namespace: str) -> None:
    body = msgspec.json.encode({"propagationPolicy": "Background"})
    await client.request("DELETE", resource_path("batch", "v1", "jobs", namespace=namespace), body=body)
    pods = resource_path("", "v1", "pods", namespace=namespace)
    await wait_for(client, pods, lambda listed: not _of_jobs(listed), timeout_s=60)
