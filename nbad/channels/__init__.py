"""Channels that know their depth and their waits: bounded, and latest per key."""

from nbad.channels.bounded import open_bounded
from nbad.channels.ends import Receiver, Sender
from nbad.channels.latest import open_latest

__all__ = ["Receiver", "Sender", "open_bounded", "open_latest"]
