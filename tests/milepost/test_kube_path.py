"""Paths are built from names that cannot leave their segment."""

from __future__ import annotations

import pytest

from milepost.kube_path import check_path, resource_path


def test_core_and_group_paths() -> None:
    assert resource_path("", "v1", "pods") == "/api/v1/pods"
    assert resource_path("apps", "v1", "deployments", namespace="n", name="d", subresource="scale") == (
        "/apis/apps/v1/namespaces/n/deployments/d/scale"
    )


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a%2fb", "a?x=1", "a#b", "a b", "a\nb", "a\\b"])
def test_a_name_that_would_leave_its_segment_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of"):
        resource_path("", "v1", "pods", namespace=name or "..")


@pytest.mark.parametrize("path", ["api", "/api/../x", "/api/v1/pods?x", "/a b", "/a%2e"])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"plain path|holds a space"):
        check_path(path)
    assert check_path("/api/v1/pods") == "/api/v1/pods"
