"""Channels that know their depth and their waits: bounded, and latest per key; and one value, the
newest, that is watched."""

from nbad.channels.bounded import open_bounded
from nbad.channels.ends import Receiver, Sender
from nbad.channels.latest import open_latest
from nbad.channels.latest_value import Publisher, Watcher, open_latest_value

__all__ = [
    "Publisher",
    "Receiver",
    "Sender",
    "Watcher",
    "open_bounded",
    "open_latest",
    "open_latest_value",
]
