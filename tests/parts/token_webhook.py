"""The authentication webhook of the tests' API server: any user in any groups, without a restart.

A token is its own proof: user and groups, signed with a key of this run. The API server sends a TokenReview and gets it
back with the user filled in (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import yaml


class TokenWebhook:
    """Serves on a free port of loopback between `start` and `stop`."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._server: ThreadingHTTPServer | None = None

    def start(self, kubeconfig: Path) -> None:
        """Serve, and write the file that tells the API server where."""
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                answer = msgspec.json.encode({**review, "status": webhook.status(review["spec"]["token"])})
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing: a line would hold nothing that the API server's log has not."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "webhook",
            "clusters": [{"name": "webhook", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}/"}}],
            "users": [{"name": "apiserver", "user": {}}],
            "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "apiserver"}}],
        }
        kubeconfig.write_text(yaml.safe_dump(content))

    def stop(self) -> None:
        """Serve no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def token(self, user: str, groups: Sequence[str]) -> str:
        """Return the token of this user in these groups."""
        claim = base64.urlsafe_b64encode(msgspec.json.encode([user, list(groups)])).decode()
        return f"{claim}.{self._sign(claim)}"

    def status(self, token: str) -> dict[str, Any]:
        """Return the TokenReview's status for this token."""
        claim, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            return {"authenticated": False}
        user, groups = msgspec.json.decode(base64.urlsafe_b64decode(claim))
        return {"authenticated": True, "user": {"username": user, "uid": f"uid-{user}", "groups": groups}}

    def _sign(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()
