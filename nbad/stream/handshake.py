"""The request that opens a connection: read by h11, checked, and answered where it is refused.

The WebSocket library must not see a stranger's bytes: a high byte in a header, or a request it does
not expect, ends its task with an error. So it is given :attr:`Head.canonical`, made of what was
checked here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

import h11
import trio

from nbad.net.http import why
from nbad.settings.access import OPEN, AccessPolicy, brought
from nbad.stream.batch import Interest
from nbad.stream.cursor import Since
from nbad.stream.deflate import accept_offer
from nbad.stream.requests import BadRequestError, narrow, parse_since
from nbad.stream.wire import PROTOCOL

PATH = "/v1/stream"
HEAD_BYTES = 8192
READ_BYTES = 4096


class RefusedError(Exception):
    """A request that is no WebSocket of ours: the HTTP ``status`` and text to answer with."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    def response(self) -> bytes:
        """The whole HTTP answer, after which the connection is closed."""
        body = f"{self.detail}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        if self.status is HTTPStatus.UPGRADE_REQUIRED:
            headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", "Bearer"))
        if self.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET"))
        answer = h11.Response(
            status_code=self.status.value, reason=self.status.phrase.encode(), headers=headers
        )
        head = h11.Connection(h11.SERVER).send(answer)
        assert head is not None
        return bytes(head) + body


class GoneError(Exception):
    """The peer left before its head was whole."""


@dataclass(frozen=True, slots=True)
class Head:
    """A checked request.

    ``token`` is the digest of the one it brought, ``early`` what the peer sent after the request,
    without waiting for us; ``deflate`` the answer to its offer to take messages compressed.
    """

    canonical: bytes
    subprotocol: str | None
    since: Since | None
    interest: Interest
    early: bytes
    token: bytes | None = None
    deflate: str | None = None


async def read_head(transport: trio.abc.Stream, access: AccessPolicy = OPEN) -> Head:
    """Read and judge the head of a request.

    Raises :class:`RefusedError`, or :class:`GoneError` where the peer leaves. The deadline is the
    caller's.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    received = 0
    try:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                break
            data = await transport.receive_some(READ_BYTES)
            if not data:
                raise GoneError("closed before the request was whole")
            connection.receive_data(bytes(data))
            received += len(data)
    except h11.RemoteProtocolError as error:
        status = HTTPStatus(error.error_status_hint)
        raise RefusedError(status, why(error)) from None
    except trio.BrokenResourceError:
        raise GoneError("reset before the request was whole") from None
    if not isinstance(event, h11.Request):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "expected an HTTP/1.1 request")
    early, _ = connection.trailing_data
    if received - len(early) > HEAD_BYTES:
        # h11 limits incomplete heads only: one that its last chunk completes gets through.
        raise RefusedError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"expected at most {HEAD_BYTES} bytes"
        )
    return check(event, bytes(early), access)


def check(request: h11.Request, early: bytes = b"", access: AccessPolicy = OPEN) -> Head:
    """Judge a request. Raises :class:`RefusedError`."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        if not value.isascii():
            raise _bad(f"{name.decode()}: expected ASCII")
        headers.setdefault(name.decode(), []).append(value.decode())
    path, _, query = request.target.decode().partition("?")
    if path != PATH:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"expected the WebSocket path {PATH}")
    if request.method != b"GET":
        raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET")
    if request.http_version != b"1.1":
        raise _bad("expected HTTP/1.1")
    if headers.get("content-length", ["0"]) != ["0"] or "transfer-encoding" in headers:
        raise _bad("expected a request without a body")
    if "websocket" not in _tokens(headers, "upgrade"):
        raise _upgrade("expected a WebSocket: Upgrade: websocket")
    if "upgrade" not in _tokens(headers, "connection"):
        raise _bad("expected Connection: Upgrade")
    if headers.get("sec-websocket-version") != ["13"]:
        raise _upgrade("expected Sec-WebSocket-Version: 13")
    key = _key(headers.get("sec-websocket-key", []))
    offered = _split(headers, "sec-websocket-protocol")
    subprotocol = PROTOCOL if PROTOCOL in offered else None
    asked = parse_qs(query, errors="replace")
    token = _admit(access, headers, asked)
    try:
        since, interest = since_of(asked), interest_of(asked)
    except BadRequestError as error:
        raise _bad(str(error)) from None
    # Some clients copy a browser's headers and cannot inflate. One whose first choice is another
    # protocol may not be written for this one: it gets what any client can read.
    plain = bool(offered) and offered[0] != PROTOCOL
    deflate = None if plain else accept_offer(_split(headers, "sec-websocket-extensions"))
    return Head(_canonical(key, subprotocol), subprotocol, since, interest, early, token, deflate)


def _canonical(key: str, subprotocol: str | None) -> bytes:
    lines = [
        f"GET {PATH} HTTP/1.1",
        "Host: nbad",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()


def _key(values: list[str]) -> str:
    try:
        if len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == 16:
            return values[0]
    except binascii.Error:
        pass  # reported below, with the other ways to be wrong
    raise _bad("expected one Sec-WebSocket-Key of 16 bytes in base64")


def _admit(
    access: AccessPolicy, headers: dict[str, list[str]], asked: dict[str, list[str]]
) -> bytes | None:
    """The digest of the token that was brought: by header, or, from browsers, in the URL."""
    if not access.allows_origin(headers.get("origin", [None])[0]):
        raise RefusedError(HTTPStatus.FORBIDDEN, "expected another Origin")
    known = brought(headers.get("authorization", [""])[0], asked.get("token", [""])[-1])
    if not access.accepts_token(known):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "expected a token: Authorization: Bearer TOKEN")
    return known


def interest_of(asked: dict[str, list[str]]) -> Interest:
    """``?games=ID,ID&teams=BOS,NYK``: the filter from the first message on."""
    games, teams = (
        frozenset(name for value in asked.get(key, []) for name in value.split(",") if name)
        for key in ("games", "teams")
    )
    return narrow(games, frozenset(team.upper() for team in teams))


def since_of(asked: dict[str, list[str]]) -> Since | None:
    """``?since=EPOCH.SEQ``. Raises :class:`.requests.BadRequestError`."""
    values = asked.get("since")
    return parse_since(values[-1]) if values else None


def _split(headers: dict[str, list[str]], name: str) -> list[str]:
    return [token.strip() for value in headers.get(name, []) for token in value.split(",")]


def _tokens(headers: dict[str, list[str]], name: str) -> list[str]:
    return [token.lower() for token in _split(headers, name)]


def _bad(detail: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, detail)


def _upgrade(detail: str) -> RefusedError:
    return RefusedError(HTTPStatus.UPGRADE_REQUIRED, detail)
