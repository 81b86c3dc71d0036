"""Endless fragments are cut, however their bytes arrive; honest ones pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_kit import make_clock, masked, running
from trio.testing import MockClock

from nbad.stream.fragment_limit import MAX_FRAGMENTS, Fragments
from nbad.stream.frames import PeerError

TEXT, MORE, PING, CLOSE = 0x1, 0x0, 0x9, 0x8


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


@given(st.data())
def test_any_cut_of_the_bytes_counts_the_same(data: st.DataObject) -> None:
    payloads = data.draw(st.lists(st.sampled_from([b"", b"x" * 125, b"x" * 126, b"x" * 70_000])))
    honest = b"".join(masked(TEXT, p) + masked(PING, b"p") for p in payloads)
    long = masked(TEXT, b"", fin=False) + masked(MORE, b"", fin=False) * (MAX_FRAGMENTS - 1)
    stream = honest + long
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    fragments = Fragments()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        fragments.take(stream[start:end])
    with pytest.raises(PeerError):
        fragments.take(masked(MORE, b"", fin=False))


@pytest.mark.parametrize("payload", [b"", b" "])
async def test_endless_fragments_are_told_1009(clock: MockClock, payload: bytes) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.frame()  # the welcome
        await raw.send(masked(TEXT, payload, fin=False))
        await raw.send(masked(MORE, payload, fin=False) * 200)
        opcode, reason = await raw.frame()
        assert (opcode, int.from_bytes(reason[:2], "big")) == (CLOSE, 1009)
        assert not await raw.rest()


async def test_a_message_in_pieces_is_heard(clock: MockClock) -> None:
    async with running() as stage:
        raw = await stage.upgrade()
        await raw.frame()
        for _ in range(3):
            first, *rest = b'{"op":"ping","id":1}'
            await raw.send(masked(TEXT, bytes([first]), fin=False))
            await raw.send(b"".join(masked(MORE, bytes([byte]), fin=False) for byte in rest))
            await raw.send(masked(MORE))
            assert await raw.frame() == (TEXT, b'{"type":"pong","id":1}')
