"""The feed: a sequence of messages, over as many connections as needed."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

import anyio
import orjson

from nbad.client.messages import BY_TYPE, Batch, Error, Game, Message, Reconnect, Snapshot, Welcome
from nbad.client.transport import DroppedError, RefusedError, Transport
from nbad.client.view import GapError, View

CONNECT_S = 10.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0

# A server is silent for at most `heartbeat_s`; after this many it is assumed to be gone.
HEARTBEATS_MISSED = 2.5


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection ended for ``reason``; the next is tried after ``pause_s`` seconds."""

    reason: str
    pause_s: float


@asynccontextmanager
async def connect(
    url: str,
    *,
    games: Collection[str] = (),
    teams: Collection[str] = (),
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Feed]:
    """Open the stream at ``url`` (``ws://`` or ``wss://HOST:PORT/v1/stream``), on Trio or asyncio.

    ``games`` (ids) and ``teams`` (tricodes) filter it; neither: all. ``tls`` is for certificates
    that the system does not trust. Raises :class:`DroppedError` if the first connection fails and
    :class:`RefusedError` if the server rejects the client; later drops are resumed.
    """
    feed = Feed(url, games=games, teams=teams, token=token, tls=tls)
    await feed.open()
    try:
        yield feed
    finally:
        await feed.aclose()


class Feed:
    """The messages, and the state they lead to. Iterate in one task only.

    ``view`` is that state; its ``games``, ``epoch`` and ``seq`` are available here too. ``welcome``
    is the last welcome, ``drops`` the number of drops so far. Only a snapshot's games carry their
    ``series``.
    """

    def __init__(
        self,
        url: str,
        *,
        games: Collection[str] = (),
        teams: Collection[str] = (),
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.welcome: Welcome | None = None
        self.drops = 0
        self.view = View(filtered=bool(games or teams))
        self._url = url
        self._filter = {"games": ",".join(games), "teams": ",".join(teams)}
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls = tls
        self._transport: Transport | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._return_at: float | None = None  # when the server asked us to reconnect

    @property
    def games(self) -> dict[str, Game]:
        """The newest message of every game by its id."""
        return self.view.games

    @property
    def epoch(self) -> str:
        """The view's epoch; empty before the first snapshot."""
        return self.view.epoch

    @property
    def seq(self) -> int:
        """The newest batch in the view; -1 before the first snapshot."""
        return self.view.seq

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Message | Dropped:
        """The next message, or that the connection dropped. Safe to cancel.

        Raises :class:`RefusedError` if the server no longer admits the client.
        """
        while True:
            try:
                if self._transport is None:
                    await anyio.sleep(max(0.0, self._retry_at - anyio.current_time()))
                    await self.open()
                message = await self._receive()
            except DroppedError as error:
                return await self._drop(str(error))
            if message is not None:
                return message

    async def open(self) -> None:
        """Connect, and resume from the view's position."""
        self._transport = await Transport.open(self._address(), self._headers, self._tls, CONNECT_S)

    async def aclose(self) -> None:
        """End the connection, if there is one."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    def _address(self) -> str:
        parts = urlsplit(self._url)
        query = {name: value for name, value in self._filter.items() if value}
        if since := self.view.since:
            query["since"] = since
        return urlunsplit(
            parts._replace(query="&".join(filter(None, [parts.query, urlencode(query)])))
        )

    async def _receive(self) -> Message | None:
        assert self._transport is not None
        heartbeat_s = self.welcome.heartbeat_s if self.welcome else CONNECT_S
        patience_s = max(CONNECT_S, HEARTBEATS_MISSED * heartbeat_s)
        with anyio.move_on_after(patience_s):
            text = await self._transport.receive()
            return self._take(text)
        raise DroppedError(f"nothing received for {patience_s:g} s")

    def _take(self, text: str) -> Message | None:
        """Read a message into the view. Raises :class:`DroppedError` where one is missing."""
        try:
            raw = orjson.loads(text)
            kind = BY_TYPE.get(raw["type"])
            message = kind.model_validate(raw) if kind else None
        except (ValueError, TypeError, KeyError) as error:
            raise DroppedError(f"not a valid message: {error}") from error
        if isinstance(message, Welcome):
            self.welcome = message
        if isinstance(message, Reconnect):
            self._return_at = anyio.current_time() + message.after_s
        if isinstance(message, Error) and message.code == "too_many_filters":
            raise DroppedError(f"{message.code}: {message.detail}")  # there may be room later
        if message is not None:
            self._add(message)
        return message

    def _add(self, message: Message) -> None:
        try:
            self.view.take(message)
        except GapError as error:
            if self._failures:  # resumed already, and still wrong: ask for a snapshot
                self.view.forget()
            raise DroppedError(str(error)) from error
        if isinstance(message, Snapshot | Batch):
            self._failures = 0

    async def _drop(self, reason: str) -> Dropped:
        """Close the connection; the pause doubles with each attempt that brought nothing.

        If the server said when to reconnect, the first attempt is at that time.
        """
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        pause_s = random.uniform(longest / 2, longest)
        if self._return_at is not None:
            pause_s = max(0.0, self._return_at - anyio.current_time())
            self._return_at = None
        self._failures += 1
        self.drops += 1
        self._retry_at = anyio.current_time() + pause_s
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()
        return Dropped(reason, pause_s)


__all__ = ["Dropped", "Feed", "RefusedError", "connect"]
