"""Access to the stream and the page: TLS, tokens and origins, loaded and checked as a whole."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nbad.settings.certificate import expiry
from nbad.settings.files import read_text, unusable

if TYPE_CHECKING:
    from nbad.settings.schema import Publish, Server


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What newcomers are checked against. ``tokens`` holds SHA-256 digests; None: none is required.

    ``origins`` are the allowed origins of web pages; empty: any.
    ``tls_until``: when the first certificate of the chain of ``tls`` expires, in s since the epoch.
    """

    tls: ssl.SSLContext | None = None
    tls_until: float = math.inf
    tokens: frozenset[bytes] | None = None
    origins: frozenset[str] = frozenset()

    def accepts_token(self, digest: bytes | None) -> bool:
        """Whether the token with this SHA-256 is valid, or none is required.

        One look-up, however many there are. Its timing depends on the digest only, which does not
        help to guess a token.
        """
        return self.tokens is None or digest in self.tokens

    def allows_origin(self, origin: str | None) -> bool:
        """Whether a page of this origin may connect. Clients other than browsers send none."""
        return not self.origins or origin is None or origin.lower() in self.origins


OPEN = AccessPolicy()


def digest(token: str) -> bytes:
    """The digest of a token: what is stored and compared."""
    return sha256(token.encode()).digest()


def brought(authorization: str, in_url: str) -> bytes | None:
    """The digest of a request's token: from the header or, for browsers, the URL."""
    scheme, _, value = authorization.partition(" ")
    token = value.strip() if scheme.lower() == "bearer" else in_url
    return digest(token) if token else None


def load_access(server: Server, problems: list[str]) -> AccessPolicy:
    """Read the files that ``server`` names. What is wrong with them is added to ``problems``."""
    return AccessPolicy(
        *_load_tls(server, problems),
        _load_tokens(server.tokens_file, problems),
        frozenset(origin.lower() for origin in server.allowed_origins),
    )


def _load_tls(server: Server, problems: list[str]) -> tuple[ssl.SSLContext | None, float]:
    """The certificate, and when it expires."""
    if server.tls_cert is None:
        if server.tls_key is not None:
            problems.append("server.tls_cert: expected the certificate of tls_key, was empty")
        return None, math.inf
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for name, file in (("tls_cert", server.tls_cert), ("tls_key", server.tls_key)):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:  # which of the two it is, OpenSSL does not say
            problems.append(unusable(f"server.{name}", "a readable file", file, error))
            return None, math.inf
    until = math.inf
    try:
        context.load_cert_chain(server.tls_cert, server.tls_key, _no_password)
        until = expiry(server.tls_cert.read_bytes())
    except OSError as error:  # ssl.SSLError is one
        expected = "a PEM chain with its key (in tls_key, or in the same file)"
        problems.append(unusable("server.tls_cert", expected, server.tls_cert, error))
    return context, until


def _no_password() -> NoReturn:
    """OpenSSL would prompt for it at a terminal, which a daemon does not have."""
    raise OSError("its key needs a password: remove it (openssl pkey -in KEY -out KEY.plain)")


def _load_tokens(path: Path | None, problems: list[str]) -> frozenset[bytes] | None:
    if path is None:
        return None
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except OSError as error:
        problems.append(unusable("server.tokens_file", "a readable file", path, error))
        return frozenset()
    tokens = []
    for number, token in enumerate(lines, 1):
        if not token or token.startswith("#"):
            continue
        tokens.append(token)
        if not (token.isascii() and token.isprintable() and " " not in token):
            # Which token it is stays out of the log.
            problems.append(f"server.tokens_file: line {number}: expected printable ASCII")
    if not tokens:
        problems.append("server.tokens_file: expected a token a line, was none: nobody could enter")
    return frozenset(digest(token) for token in tokens)


def load_password(publish: Publish, problems: list[str]) -> str | None:
    """The broker's password. What is wrong with its file is added to ``problems``."""
    file = publish.password_file
    if file is None:
        return None
    try:
        password = read_text(file).strip()
    except OSError as error:
        problems.append(unusable("publish.password_file", "a readable file", file, error))
        return None
    if not password or len(password.splitlines()) > 1:
        problems.append("publish.password_file: expected one line, the password")
    return password
