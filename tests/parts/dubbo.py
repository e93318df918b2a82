"""Real Dubbo callers: a JVM with the Dubbo of one version, which is told over its standard input what to call.

Three generations: 2.6 is Alibaba's with packages of that name, 2.7 Apache's, 3.3 the present. The one client beside
this file is written for the Apache names; for 2.6 they are replaced, the classes that it uses are the same. 2.6 gets a
younger client of ZooKeeper than it asks for, because its own waits for ever under Java 17.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.parts import reaper
from tests.parts.install import install, run, tool
from tests.parts.maven import jars

SOURCES = Path(__file__).parent / "dubbo_caller"
ANSWER_S = 60.0
_JACKSON = "com.fasterxml.jackson.core:jackson-databind:2.13.5"
_ARTIFACTS = {
    "2.6.12": (
        "com.alibaba:dubbo:2.6.12",
        "org.apache.curator:curator-recipes:2.13.0",
        "org.apache.zookeeper:zookeeper:3.5.10",
        "io.netty:netty-all:4.1.66.Final",
        "org.slf4j:slf4j-nop:1.7.36",
        _JACKSON,
    ),
    "2.7.23": (
        "org.apache.dubbo:dubbo:2.7.23",
        "org.apache.curator:curator-x-discovery:5.7.1",
        "org.apache.zookeeper:zookeeper:3.9.5",
        "org.slf4j:slf4j-nop:2.0.13",
        _JACKSON,
    ),
    "3.3.2": (
        "org.apache.dubbo:dubbo:3.3.2",
        "org.apache.dubbo:dubbo-dependencies-zookeeper-curator5:3.3.2:pom",
        "org.slf4j:slf4j-nop:1.7.36",
        _JACKSON,
    ),
}
VERSIONS = tuple(_ARTIFACTS)
_OPENED = ("java.lang", "java.math", "java.util", "java.util.concurrent", "java.time")


PARTS = {version: jars("dubbo", version, artifacts, told="jars") for version, artifacts in _ARTIFACTS.items()}


class CallFailed(Exception):  # noqa: N818 - what the caller saw
    """The call threw in Java: the exception's class and message."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message


class DubboCaller:
    """One JVM with one version of Dubbo, compiled and running in `folder`; a context manager."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        self._libs = install(PARTS[version]) / "libs"
        self._folder = folder
        self._ids = itertools.count(1)
        self._names = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._java: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DubboCaller:
        classes = self._compile()
        opens = [part for name in _OPENED for part in ("--add-opens", f"java.base/{name}=ALL-UNNAMED")]
        with (self._folder / "caller.log").open("wb") as log:
            self._java = subprocess.Popen(
                ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *opens,
                 "-Ddubbo.application.logger=slf4j", "-Ddubbo.application.qos-enable=false",
                 f"-Duser.home={self._folder}", "-cp", f"{classes}:{SOURCES}:{self._libs}/*", "milepost.test.Caller"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        reaper.watch(self._java.pid)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._java is not None
        assert self._java.stdin is not None
        self._java.stdin.close()
        try:
            self._java.wait(5)
        except subprocess.TimeoutExpired:
            self._java.kill()
            self._java.wait()

    def refer(self, **options: Any) -> Reference:
        """Return a reference made of these options: `interface` or generic=False, `url` or `registry`, version, …."""
        name = f"r{next(self._names)}"
        self.ask(op="refer", name=name, **options)
        return Reference(self, name)

    def ask(self, **command: Any) -> Any:
        """Return what a command comes to; raises CallFailed."""
        return self.begin(**command).result(ANSWER_S)

    def begin(self, **command: Any) -> Future[Any]:
        """Send a command; returns what it will come to."""
        assert self._java is not None
        assert self._java.stdin is not None
        id_ = next(self._ids)
        future: Future[Any] = Future()
        with self._lock:
            self._waiting[id_] = future
            self._java.stdin.write(json.dumps({"id": id_, **command}).encode() + b"\n")
            self._java.stdin.flush()
        return future

    def _listen(self) -> None:
        assert self._java is not None
        assert self._java.stdout is not None
        with self._java.stdout as answers:
            for line in answers:
                answer = json.loads(line)
                future = self._waiting.pop(answer["id"])
                if "error" in answer:
                    future.set_exception(CallFailed(answer["error"], answer["message"]))
                else:
                    future.set_result(answer["value"])
        for future in list(self._waiting.values()):
            future.set_exception(EOFError(f"the caller ended: {(self._folder / 'caller.log').read_text()[-2000:]}"))

    def _compile(self) -> Path:
        sources, classes = self._folder / "sources", self._folder / "classes"
        shutil.copytree(SOURCES, sources)
        if self.version.startswith("2.6"):
            main = sources / "milepost" / "test" / "Caller.java"
            main.write_text(main.read_text().replace("org.apache.dubbo", "com.alibaba.dubbo"))
        files = [str(file) for file in sorted(sources.rglob("*.java"))]
        run(
            [
                tool("javac", "a Dubbo caller"),
                "-nowarn",
                "-encoding",
                "UTF-8",
                "-d",
                str(classes),
                "-cp",
                f"{self._libs}/*",
                *files,
            ]
        )
        return classes


class Reference:
    """What a Java program calls a service through."""

    def __init__(self, caller: DubboCaller, name: str) -> None:
        self.caller = caller
        self.name = name

    def call(self, method: str, *arguments: Any, types: list[str] | None = None, op: str = "call") -> Any:
        """Return what the method returns, as {"t": class, "v": value}; raises CallFailed."""
        return self.caller.ask(op=op, name=self.name, method=method, args=list(arguments), types=types or [])

    def echo(self, value: Any) -> Any:
        """Return what `$echo` returns."""
        return self.caller.ask(op="echo", name=self.name, args=[value])

    def many(self, method: str, rows: list[list[Any]], *, threads: int) -> list[Any]:
        """Return the outcome of each call, made side by side: {"value"} or {"error", "message"}."""
        found: list[Any] = self.caller.ask(
            op="many", name=self.name, method=method, args=rows, threads=threads, types=[]
        )
        return found

    def load(self, method: str, *arguments: Any, threads: int, seconds: float) -> Future[Any]:
        """Call again and again for so long; comes to {"done": count, "failures": {message: count}}."""
        return self.caller.begin(
            op="load", name=self.name, method=method, args=list(arguments), types=[], threads=threads,
            milliseconds=int(seconds * 1000),
        )  # fmt: skip

    def drop(self) -> None:
        """Let go of it, and of its connection."""
        self.caller.ask(op="drop", name=self.name)
