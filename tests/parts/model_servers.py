"""Real model servers, from PyPI in virtual environments of their own: Seldon Core's Python wrapper and MLServer.

Both want versions of their libraries that Milepost does not have, so they never share its environment. Seldon Core is
1.17.1, the last version under the Apache licence. A virtual environment is renamed after it was filled, which breaks
the paths inside of its scripts but not its interpreter: the servers are started by that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.parts.install import Part, Say, Unavailable, install, run
from tests.parts.ports import free_port
from tests.parts.process import Process

START_S = 90.0

WRAPPER_MODEL = """
class Model:
    def predict(self, X, names=None, meta=None):
        return X

    def send_feedback(self, features, names, reward, truth, routing=None):
        return []

    def metrics(self):
        return [
            {"type": "COUNTER", "key": "rows", "value": 2},
            {"type": "GAUGE", "key": "temperature", "value": 36.5},
            {"type": "TIMER", "key": "lookup", "value": 20.0},
        ]
"""

MLSERVER_MODEL = """
from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput


class Model(MLModel):
    async def predict(self, payload):
        value = payload.inputs[0].data[0]
        if value < 0:
            raise ValueError("negative")
        output = ResponseOutput(name="o", shape=[1], datatype="FP32", data=[value])
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
"""

MLSERVER_GRPC_CALL = """
import sys, grpc
from mlserver.grpc import dataplane_pb2 as pb, dataplane_pb2_grpc as services

tensor = pb.ModelInferRequest.InferInputTensor(
    name="i", datatype="FP32", shape=[1], contents=pb.InferTensorContents(fp32_contents=[1.0])
)
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = services.GRPCInferenceServiceStub(channel)
    for _ in range(int(sys.argv[2])):
        stub.ModelInfer(pb.ModelInferRequest(model_name=sys.argv[3], inputs=[tensor]))
"""


def _python(*requirements: str) -> Part:
    name, _, version = requirements[0].partition("==")

    def fill(folder: Path, say: Say) -> None:
        say(f"{name} {version}: from PyPI, with its own libraries")
        venv.create(folder, with_pip=False, symlinks=True)
        uv = Path(sys.executable).with_name("uv")
        if not uv.exists():
            raise Unavailable(f"{name} is installed by uv, which is not beside {sys.executable}; run `make setup`")
        run([str(uv), "pip", "install", "--system-certs", "--python", str(folder / "bin" / "python"), *requirements])

    return Part(name, version, fill)


# pkg_resources, which the wrapper imports, left setuptools with version 81.
SELDON = _python("seldon-core==1.17.1", "setuptools<81")
MLSERVER = _python("mlserver==1.7.1")


class SeldonWrapper:
    """Seldon Core's `seldon-core-microservice` around a small model, as the operator would start it."""

    def __init__(self, folder: Path, *, unit: str, image: str) -> None:
        """Install it; raises Unavailable."""
        (folder / "Model.py").write_text(WRAPPER_MODEL)
        self._http, metrics = free_port(), free_port()
        self.page = f"http://127.0.0.1:{metrics}/prometheus"
        start = "from seldon_core.microservice import main; main()"
        ports = ["--http-port", str(self._http), "--grpc-port", str(free_port()), "--metrics-port", str(metrics)]
        self.process = Process(
            [install(SELDON) / "bin" / "python", "-c", start, "Model", "--service-type", "MODEL", *ports],
            log=folder / "wrapper.log",
            cwd=folder,
            env={
                "PREDICTIVE_UNIT_ID": unit,
                "PREDICTIVE_UNIT_IMAGE": image,
                "PREDICTIVE_UNIT_METRICS_ENDPOINT": "/prometheus",
                "PREDICTOR_ID": "default",
                "SELDON_DEPLOYMENT_ID": "fraud",
            },
        )

    def start(self) -> SeldonWrapper:
        """Start it and wait until it answers."""
        self.process.start()
        url = f"http://127.0.0.1:{self._http}/health/ping"
        self.process.wait_until(lambda: _answers(url) and _answers(self.page), "/health/ping", START_S)
        return self

    def predict(self) -> None:
        """Send one prediction."""
        _post(f"http://127.0.0.1:{self._http}/api/v1.0/predictions", {"data": {"ndarray": [[1, 2]]}})

    def feedback(self, reward: float) -> None:
        """Send a reward for a prediction."""
        _post(f"http://127.0.0.1:{self._http}/api/v1.0/feedback", {"reward": reward})

    def stop(self) -> None:
        """End it, and the servers that it started as processes and leaves behind."""
        started = _descendants(self.process.pid)
        self.process.stop()
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class MlServer:
    """MLServer with one model, with its page where Seldon's operator puts it."""

    def __init__(self, folder: Path, *, model: str) -> None:
        """Install it; raises Unavailable."""
        self._model, self._http, self._grpc, metrics = model, free_port(), free_port(), free_port()
        self.page = f"http://127.0.0.1:{metrics}/prometheus"
        self._python = install(MLSERVER) / "bin" / "python"
        (folder / "echo_model.py").write_text(MLSERVER_MODEL)
        (folder / "model-settings.json").write_text(
            json.dumps({"name": model, "implementation": "echo_model.Model", "parameters": {"version": "v1"}})
        )
        self.process = Process(
            [self._python, "-c", "from mlserver.cli import main; main()", "start", "."],
            log=folder / "mlserver.log",
            cwd=folder,
            env={
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_HTTP_PORT": str(self._http),
                "MLSERVER_GRPC_PORT": str(self._grpc),
                "MLSERVER_METRICS_PORT": str(metrics),
                "MLSERVER_METRICS_ENDPOINT": "/prometheus",
                "MLSERVER_PARALLEL_WORKERS": "0",
            },
        )

    def start(self) -> MlServer:
        """Start it and wait until its model is ready."""
        self.process.start()
        url = f"http://127.0.0.1:{self._http}/v2/models/{self._model}/ready"
        self.process.wait_until(lambda: _answers(url) and _answers(self.page), "the model", START_S)
        return self

    def infer(self, value: float, *, version: str = "") -> int:
        """Send one request by REST and return the HTTP status; a negative value makes the model fail."""
        path = f"/v2/models/{self._model}" + (f"/versions/{version}" if version else "")
        tensor = {"name": "i", "shape": [1], "datatype": "FP32", "data": [value]}
        return _post(f"http://127.0.0.1:{self._http}{path}/infer", {"inputs": [tensor]})

    def infer_by_grpc(self, times: int) -> None:
        """Send requests by gRPC."""
        run([str(self._python), "-c", MLSERVER_GRPC_CALL, f"127.0.0.1:{self._grpc}", str(times), self._model])

    def stop(self) -> None:
        """End it."""
        self.process.stop()


def read(url: str) -> bytes:
    """Return the body of a page."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        body: bytes = answer.read()
        return body


def _descendants(pid: int) -> list[int]:
    """Return the processes that this one started, and those that they started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [each for child in map(int, children) for each in (child, *_descendants(child))]


def _answers(url: str) -> bool:
    try:
        read(url)
    except OSError:
        return False
    return True


def _post(url: str, body: Mapping[str, object]) -> int:
    request = urllib.request.Request(  # noqa: S310 - our own server
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
