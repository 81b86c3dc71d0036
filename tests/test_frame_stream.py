"""The stream under a subscriber by itself: in what order it writes, and what it lets go of."""

from __future__ import annotations

import os
import socket
import struct

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from nbad.stream.frame_stream import FrameStream

HOST = "127.0.0.1"


async def tcp_pair() -> tuple[socket.socket, trio.SocketStream, trio.SocketStream]:
    """Both ends of a TCP connection on the loopback: ours plain and as a stream, and theirs."""
    with socket.create_server((HOST, 0)) as listener:
        theirs = await trio.open_tcp_stream(*listener.getsockname())
        plain, _ = listener.accept()
    return plain, trio.SocketStream(trio.socket.from_stdlib_socket(plain)), theirs


def binary_frame(size: int) -> bytes:
    """A data frame that is no message of the protocol: any will do here."""
    return b"\x82\x7f" + struct.pack("!Q", size) + bytes(size)


async def fill(stream: FrameStream, frame: bytes) -> None:
    """Push until the socket takes no more."""
    while stream.push(frame):
        await trio.lowlevel.checkpoint()


async def read_to_end(stream: trio.SocketStream) -> bytes:
    received = b""
    while data := await stream.receive_some():
        received += data
    return received


async def test_control_frames_go_in_the_order_in_which_they_came(
    autojump_clock: MockClock,
) -> None:
    """Two answers and then a Close, all while a data frame is still on its way."""
    ours, theirs = lockstep_stream_pair()
    data = binary_frame(100_000)
    controls = [b"\x89\x01a", b"\x89\x01b", b"\x88\x02\x03\xe9"]
    async with trio.open_nursery() as nursery:
        stream = FrameStream(ours, nursery, b"")
        stream.opened()
        assert stream.push(data)
        for control in controls:
            nursery.start_soon(stream.send_all, control)
            await wait_all_tasks_blocked()
        received = b""
        expected = data + b"".join(controls)
        with trio.fail_after(10):
            while len(received) < len(expected):
                received += await theirs.receive_some()
        assert received == expected


async def test_nothing_is_written_to_a_number_that_another_has_by_now() -> None:
    plain, ours, theirs = await tcp_pair()
    number = ours.socket.fileno()
    async with trio.open_nursery() as nursery, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.opened()
        stream.source = lambda: b"\x82\x01s"
        stream.release()
        await trio.aclose_forcefully(ours)
        reader, writer = os.pipe()
        try:
            if writer != number:
                os.dup2(writer, number)  # the next file that was opened got the number
            stream.push(b"\x82\x01p")
            stream.kick()
            stream.try_send_close(1001, "")
            await wait_all_tasks_blocked()
            os.set_blocking(reader, False)
            with pytest.raises(BlockingIOError):
                os.read(reader, 1)
        finally:
            for descriptor in {reader, writer, number}:
                os.close(descriptor)
        nursery.cancel_scope.cancel()


async def test_one_that_is_let_go_is_written_to_no_more_while_its_end_lingers() -> None:
    """What was said last, its peer gets to read: the socket is still open, and nothing follows."""
    plain, ours, theirs = await tcp_pair()
    async with trio.open_nursery() as nursery, ours, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.opened()
        stream.release()
        stream.source = lambda: b"\x82\x01s"
        assert not stream.push(b"\x82\x01p")
        stream.kick()
        stream.try_send_close(1001, "")
        await ours.send_eof()
        assert await theirs.receive_some() == b""
        nursery.cancel_scope.cancel()


async def test_who_stopped_reading_is_sent_nothing_more_once_let_go() -> None:
    """The kernel must not go on offering what is left to it for minutes: it is reset."""
    plain, ours, theirs = await tcp_pair()
    ours.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    async with trio.open_nursery() as nursery, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.opened()
        await fill(stream, binary_frame(60_000))
        stream.release()
        await trio.aclose_forcefully(ours)
        with pytest.raises(trio.BrokenResourceError):
            await read_to_end(theirs)
        nursery.cancel_scope.cancel()


async def test_one_that_is_closed_while_its_upgrade_is_answered_stays_closed() -> None:
    plain, ours, theirs = await tcp_pair()
    async with trio.open_nursery() as nursery, ours, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.close(1001, "")
        stream.opened()
        assert not stream.push(b"\x82\x01p")
        await stream.send_all(b"\x8a\x00")
        await ours.send_eof()
        received = await read_to_end(theirs)
        stream.release()
    assert received == b"\x88\x02\x03\xe9"


async def test_a_peer_that_said_goodbye_is_told_one_goodbye() -> None:
    """The library answers its Close; that we are going down, it need not know any more."""
    plain, ours, theirs = await tcp_pair()
    answer = b"\x88\x02\x03\xe8"
    async with trio.open_nursery() as nursery, ours, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.opened()
        await stream.send_all(answer)
        stream.close(1001, "")
        stream.close(1001, "", drain=True)
        await ours.send_eof()
        received = await read_to_end(theirs)
        stream.release()
    assert received == answer


async def test_nothing_follows_the_close_that_ends_a_drain(autojump_clock: MockClock) -> None:
    plain, ours, theirs = await tcp_pair()
    frames = [b"\x82\x01a", b"\x82\x01b"]
    async with trio.open_nursery() as nursery, ours, theirs:
        stream = FrameStream(ours, nursery, b"", _send=plain.send)
        stream.opened()
        stream.source = lambda: frames.pop(0) if frames else None
        stream.close(1001, "", drain=True)
        assert not stream.push(b"\x82\x01c")
        frames.append(b"\x82\x01d")
        stream.kick()
        await stream.send_all(b"\x8a\x00")  # the library may still answer a ping
        await ours.send_eof()
        received = await read_to_end(theirs)
        stream.release()
    assert received == b"\x82\x01a\x82\x01b\x88\x02\x03\xe9"
