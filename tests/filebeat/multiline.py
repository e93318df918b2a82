"""What belongs together in one event, and lines that never do: the shipped multiline pattern is held to both."""

from __future__ import annotations

PYTHON = """\
Traceback (most recent call last):
  File "/app/serve.py", line 51, in predict
    y = self.model(x)
        ^^^^^^^^^^^^^
ValueError: feature vector has 3 columns, expected 4

During handling of the above exception, another exception occurred:
"""
PYTHON_DOTTED = """\
Traceback (most recent call last):
  File "/app/serve.py", line 9, in <module>
    load()
tensorflow.python.framework.errors_impl.NotFoundError: /mnt/models/1 not found"""
PYTHON_PLAIN = """\
Traceback (most recent call last):
  File "/app/serve.py", line 9, in <module>
    serve()
Exception: boom"""
PYTHON_INTERRUPT = """\
Traceback (most recent call last):
  File "/app/serve.py", line 9, in <module>
    serve()
KeyboardInterrupt"""
JAVA = """\
2026-03-04 09:15:31 ERROR Server - predict failed
java.lang.IllegalStateException: model not loaded
\tat com.example.Predictor.predict(Predictor.java:88)
\tSuppressed: java.io.IOException: closing
\t\tat com.example.Predictor.close(Predictor.java:12)
Caused by: java.io.FileNotFoundException: /mnt/models/model.zip (No such file or directory)
\tat java.base/java.io.FileInputStream.open0(Native Method)
\t... 14 more"""
JAVA_MAIN = """\
Exception in thread "main" java.lang.NullPointerException
\tat com.example.Main.main(Main.java:5)"""
GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]

goroutine 1 [running]:
main.predict(0x0)
\t/src/main.go:42 +0x1d
net/http.(*conn).serve(0xc000112000, {0x7f0b28, 0xc0001})
\t/usr/local/go/src/net/http/server.go:1995 +0x612
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3089 +0x5ed
exit status 2"""
JSON = '{\n  "level": "info",\n  "tags": [\n    "a"\n  ]\n}'

EVENTS = (PYTHON, PYTHON_DOTTED, PYTHON_PLAIN, PYTHON_INTERRUPT, JAVA, JAVA_MAIN, GO, JSON)
ORDINARY = (
    "2026-03-04 09:15:27,480 - root:predict:118 - ERROR: feature vector has 3 columns",
    '{"level":"info","msg":"ready"}',
    "I0304 09:15:30.119812 1 server.cc:264] Waiting for in-flight requests to complete.",
    "level=info ts=2026-03-04T09:15:27Z msg=ready",
    'INFO:     10.42.0.1:51234 - "POST /predict HTTP/1.1" 200 OK',
    "[2026-03-04 09:15:27 +0000] [7] [INFO] Booting worker with pid: 7",
    "Traceback (most recent call last):",
    "epoch 3/10 loss=0.2143",
    "Exception in ASGI application",
    "Error: cannot open shared object file",
    "WARNING:tensorflow:No training configuration found",
    "127.0.0.1 - - [04/Mar/2026:09:15:27 +0000] GET /metrics",
    "Loading model from s3://models/iris (attempt 1)",
)
