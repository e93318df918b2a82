"""What an error of the Kubernetes API tells, and what it keeps back."""

from __future__ import annotations

import msgspec
import pytest

from milepost.kube_error import KubeError, error_from_answer

CONFLICT = {
    "kind": "Status",
    "code": 409,
    "reason": "Conflict",
    "message": "Apply failed with 1 conflict",
    "details": {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".spec.replicas"}]
    },
}


def test_a_conflict_names_field_and_owner() -> None:
    error = error_from_answer(409, msgspec.json.encode(CONFLICT), path="/apis/apps/v1/namespaces/n/deployments/d")
    assert (error.status, error.reason, error.transient) == (409, "Conflict", False)
    assert error.causes[0].field == ".spec.replicas"
    assert "kubectl" in error.causes[0].message
    assert "/deployments/d: Apply failed" in str(error)


def test_the_message_about_a_secret_is_kept_back() -> None:
    body = msgspec.json.encode(
        {
            "code": 422,
            "reason": "Invalid",
            "message": 'data[key]: Invalid value: "hunter2"',
            "details": {"causes": [{"reason": "FieldValueInvalid", "message": "hunter2", "field": "data[key]"}]},
        }
    )
    error = error_from_answer(422, body, path="/api/v1/namespaces/n/secrets/s")
    assert "hunter2" not in f"{error} {error!r} {error.causes}"
    assert error.causes[0].field == "data[key]"


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"\xff\xfe"])
def test_an_answer_that_is_no_status_is_still_an_error(body: bytes) -> None:
    error = error_from_answer(502, body, path="/api", retry_after="7")
    assert (error.status, error.reason, error.retry_after_s) == (502, "NotKubernetes", 7)
    assert error.transient


def test_which_errors_may_pass_by_themselves() -> None:
    transient = {status for status in (0, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504) if _error(status)}
    assert transient == {0, 429, 500, 503, 504}


def _error(status: int) -> bool:
    return KubeError(status, "", "").transient
