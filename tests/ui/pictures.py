"""The pictures of the documentation, 1400 by 900 pixels, light and dark.

`python -m tests.ui.pictures --url URL` takes the logs, an open traceback and the live tail from a running `milepost
demo`. `python -m tests.ui.pictures --model` starts the tests' cluster, the exporter and the platform, lets some models
work for some minutes, rolls one out and lets another one crash, and takes the list of models and the page of one.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
from selenium.webdriver.common.keys import Keys

from logserver.webui import UiSettings
from tests.logserver.rows import opened_store
from tests.parts.chromium import chromium
from tests.parts.kubernetes import ControlPlane
from tests.ui.browser import Page, driving
from tests.ui.neighbours import MODEL, Neighbours, neighbours
from tests.ui.served import Feed, served

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
THEMES = {"light": "", "dark": "-dark"}
OTHERS = {"iris-classifier": "1.4.0", "ranker": "7.2.1", "churn": "2.0.3"}
CRASHING = "iris-classifier"
TOLD = "return document.querySelector('tbody')?.textContent ?? ''"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/microservice/Fraud.py", line 51, in predict\n'
    "    return self._model.predict_proba(X)\nValueError: X has 3 features, but 4 are expected"
)


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the demo answers.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURES, show_default=True, help="The folder.")
@click.option("--model", is_flag=True, help="Models and the page of one, on the tests' own cluster.")
@click.option("--seconds", default=150, show_default=True, help="How long that model works before its picture.")
def pictures(*, url: str, out: Path, model: bool, seconds: int) -> None:
    """Save logs and live, or models and model, each light and dark."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, driving(chromium(click.echo), Path(folder) / "profile") as driver:
        if model:
            _of_a_model(Path(folder), driver, out, seconds)
            return
        for theme, suffix in THEMES.items():
            _of_the_demo(_themed(Page(driver, url), theme), out, suffix)


def _of_the_demo(page: Page, out: Path, suffix: str) -> None:
    page.open("#/logs?since=5m&text=Traceback")
    page.one(".lines .row .message")
    page.press("G", "k", "k", "k", Keys.ENTER)
    page.one(".detail")
    _save(page, out / f"logs{suffix}.png")
    page.open("#/logs?since=5m&live=1")
    page.until_count("live")
    time.sleep(4)  # lines arrive meanwhile: the picture shows some of each pod
    _save(page, out / f"live{suffix}.png")


def _of_a_model(folder: Path, driver: object, out: Path, seconds: int) -> None:
    cluster = ControlPlane(folder / "cluster").start()
    try:
        with neighbours(cluster, folder / "neighbours") as around, opened_store(folder / "store") as store:
            settings = UiSettings(exporter_url=around.exporter_url, platform_url=around.platform_url)
            with served(store, ui=settings) as server:
                _deploy_others(around)
                _work(around, Feed(store), seconds)
                page = Page(driver, server.url)  # type: ignore[arg-type]
                page.driver.get(f"{page.url}/ui/icon.svg")
                page.run("sessionStorage.setItem('milepost-token', arguments[0])", around.owner)
                for theme, suffix in THEMES.items():
                    _themed(page, theme).open("#/models")
                    page.until(lambda: "132" in page.run(TOLD), "nothing says why it crashes")
                    _save(page, out / f"models{suffix}.png")
                    page.open(f"#/models/{around.namespace}/{MODEL}?since=5m")
                    page.until(lambda: page.all("[data-figure='GPU cards used'] path"), "no figures")
                    _save(page, out / f"model{suffix}.png")
    finally:
        cluster.stop()


def _deploy_others(around: Neighbours) -> None:
    for replicas, (name, version) in enumerate(OTHERS.items(), 1):
        spec = {**around.spec(version, replicas), "name": name}
        around.ask("PUT", f"models/{around.namespace}/{name}", spec)
    (pod,) = around.pods(CRASHING)
    around.crash(pod)


def _work(around: Neighbours, feed: Feed, seconds: int) -> None:
    """Print as the model's pods would; roll out after a third of the time, with worse answers from then on."""
    begun, canary, number = time.monotonic(), False, 0
    while (spent := time.monotonic() - begun) < seconds:
        if spent > seconds / 3 and not canary:
            canary = True
            around.start_canary("1.5.0")
            around.traffic.latency_s, around.traffic.error_ratio = 0.06, 0.09
        feed.send([_line(around, pod, place, number) for place, pod in enumerate(around.pods())])
        number += 1
        time.sleep(0.5)


def _line(around: Neighbours, pod: str, place: int, number: int) -> dict[str, object]:
    bad = "-r2-" in pod and number % 4 == 0
    message = TRACEBACK if bad else f"POST /v1/models/{MODEL}:predict 200 {18 + (number * 7 + place) % 23} ms"
    return {
        "namespace": around.namespace, "model": MODEL, "pod": pod, "container": MODEL, "message": message,
        "level": "error" if bad else "info", "file_id": place, "file_path": f"/var/log/containers/{pod}.log",
    }  # fmt: skip


def _themed(page: Page, theme: str) -> Page:
    page.driver.get(f"{page.url}/ui/icon.svg")
    page.run("localStorage.setItem('milepost-theme', arguments[0])", theme)
    return page


def _save(page: Page, path: Path) -> None:
    time.sleep(1)  # the histogram and the fonts
    page.driver.save_screenshot(str(path))
    click.echo(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    pictures()
