"""Keys of the test servers, made by openssl: a CA, certificates it signs, and a service account key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from tests.parts.install import run, tool

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pki:
    """The files `ca.crt`, `ca.key` and `sa.key` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make the three files; they last two days."""
        self.folder.mkdir(exist_ok=True)
        self._openssl(
            *("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=milepost test"),
            *("-keyout", str(self.folder / "ca.key"), "-out", str(self.folder / "ca.crt")),
        )
        self._openssl(
            *("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.folder / "sa.key")),
        )

    def client_certificate(self, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
        """Return (certificate, key) files of a client certificate for this user, signed by the CA."""
        return self._certificate(f"/CN={user}" + "".join(f"/O={group}" for group in groups))

    def server_certificate(self) -> tuple[Path, Path]:
        """Return (certificate, key) files of a server on 127.0.0.1, signed by the CA."""
        return self._certificate("/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")

    def _certificate(self, subject: str, *extensions: str) -> tuple[Path, Path]:
        name = secrets.token_hex(4)
        key, request, certificate = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
        self._openssl(
            *("req", "-new", *_NEW_KEY, "-subj", subject, *extensions, "-keyout", str(key), "-out", str(request))
        )
        ca = ("-CA", str(self.folder / "ca.crt"), "-CAkey", str(self.folder / "ca.key"), "-CAcreateserial")
        self._openssl(
            *("x509", "-req", "-in", str(request), *ca, "-copy_extensions", "copy"),
            *("-days", "2", "-out", str(certificate)),
        )
        return certificate, key

    @staticmethod
    def _openssl(*arguments: str) -> None:
        run([tool("openssl", "the keys of the test servers"), *arguments])
