"""A pod's labels say which model and predictor it serves."""

import pytest

from milepost.identity import model_and_predictor


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"seldon-deployment-id": "iris", "version": "canary"}, ("iris", "canary")),
        ({"seldon-deployment-id": "iris", "seldon-app": "iris-default"}, ("iris", "default")),
        ({"seldon-deployment-id": "iris", "seldon-app": "seldon-0a1b"}, ("iris", "")),
        ({"seldon-server-name": "llm-server"}, ("llm-server", "")),
        ({"app": "web", "version": "v1"}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_the_model_and_predictor_of_labels(labels: dict[str, str], expected: tuple[str, str]) -> None:
    assert model_and_predictor(labels) == expected
