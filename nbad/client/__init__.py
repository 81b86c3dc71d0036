"""A client of the stream, on Trio or asyncio: ``async with connect(URL) as feed: async for message
in feed``; without async: ``for message in follow(URL)``.

It resumes by itself after a drop, keeps the newest message of every game in ``feed.games``, and
reports each drop with a :class:`Dropped`: there is never a silent gap.
"""

from nbad.client.feed import Dropped, Feed, connect
from nbad.client.messages import (
    Batch,
    Error,
    Event,
    Forecast,
    Game,
    Heartbeat,
    Pong,
    Quantiles,
    Reconnect,
    Side,
    Snapshot,
    Welcome,
)
from nbad.client.sync import Following, follow
from nbad.client.transport import DroppedError, RefusedError

__all__ = [
    "Batch",
    "Dropped",
    "DroppedError",
    "Error",
    "Event",
    "Feed",
    "Following",
    "Forecast",
    "Game",
    "Heartbeat",
    "Pong",
    "Quantiles",
    "Reconnect",
    "RefusedError",
    "Side",
    "Snapshot",
    "Welcome",
    "connect",
    "follow",
]
