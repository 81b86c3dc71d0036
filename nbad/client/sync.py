"""The stream without async: ``for message in follow(URL)``, in a script or a notebook."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from nbad.client.feed import Dropped, Feed, connect
from nbad.client.frames import What
from nbad.client.messages import Game, Message
from nbad.client.view import View

if TYPE_CHECKING:
    import pandas
    import polars


class Following:
    """The messages of the stream, and the state they lead to.

    Iterate over it: the connection is open from the first message until the loop is left, and
    resumed after each drop. A separate thread reads the socket, so it also works where an event
    loop is running, as in a notebook. ``games`` and the frames stay available afterwards.

    ``seconds``: follow for no longer than that. The other arguments are those of
    :func:`nbad.client.connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        games: Collection[str] = (),
        teams: Collection[str] = (),
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float | None = None,
    ) -> None:
        self.view = View(filtered=bool(games or teams))
        self._connect = partial(connect, url, games=games, teams=teams, token=token, tls=tls)
        self._seconds = seconds

    @property
    def games(self) -> dict[str, Game]:
        """The newest message of every game by its id."""
        return self.view.games

    def __iter__(self) -> Iterator[Message | Dropped]:
        """Connect, and yield messages, for ``seconds`` at most.

        Raises as :func:`nbad.client.connect`.
        """
        with start_blocking_portal() as portal, self._open(portal) as feed:
            self.view = feed.view
            ends_at = portal.call(_now) + self._seconds if self._seconds is not None else None
            while True:
                future = portal.start_task_soon(_next, feed, ends_at)
                try:
                    message = future.result()
                except BaseException:  # Ctrl-C: stop reading before the socket is closed
                    future.cancel()
                    raise
                if message is None:
                    return
                yield message

    def _open(self, portal: BlockingPortal) -> AbstractContextManager[Feed]:
        return portal.wrap_async_context_manager(self._connect())

    def to_frame(self, what: What = "games") -> pandas.DataFrame:
        """The games, a row each, or their ``series``, a row for each moment, for pandas."""
        return self.view.to_frame(what)

    def to_polars(self, what: What = "games") -> polars.DataFrame:
        """As :meth:`to_frame`, for polars."""
        return self.view.to_polars(what)


follow = Following
"""The public name: ``for message in follow(URL)``."""


async def _now() -> float:
    return anyio.current_time()


async def _next(feed: Feed, ends_at: float | None) -> Message | Dropped | None:
    """The next message; None where the time is up."""
    left_s = None if ends_at is None else max(0.0, ends_at - anyio.current_time())
    with anyio.move_on_after(left_s):
        return await anext(feed)
    return None
