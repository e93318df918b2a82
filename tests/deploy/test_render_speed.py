"""A fleet renders in seconds: see `tests/bench/deploy_render.py`."""

from tests.bench.deploy_render import LIMIT_S, measure


def test_a_thousand_models_render_within_the_limit() -> None:
    seconds, objects = min(measure(1000) for _ in range(2))
    assert objects > 4000
    assert seconds < LIMIT_S
