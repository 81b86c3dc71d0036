"""The channels: nothing is lost, the newest wins, a slow receiver holds the sender back."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from nbad.channels import open_bounded, open_latest

Round = dict[str, int]


def merge(waiting: Round, newer: Round) -> tuple[Round, int]:
    return waiting | newer, len(waiting.keys() & newer.keys())


ROUNDS = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.integers(), min_size=1), min_size=1, max_size=12
)
PAUSES = st.lists(st.integers(0, 3), min_size=1, max_size=12)


@given(ROUNDS, PAUSES, PAUSES)
def test_conflation_loses_no_game_and_ends_with_the_newest(
    rounds: list[Round], sends: list[int], receives: list[int]
) -> None:
    taken: list[Round] = []

    async def main() -> int:
        sender, receiver = open_latest(merge)

        async def send() -> None:
            with sender:
                for number, round_ in enumerate(rounds):
                    await trio.sleep(sends[number % len(sends)])
                    await sender.send(round_)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            with receiver:
                async for round_ in receiver:
                    taken.append(round_)
                    await trio.sleep(receives[len(taken) % len(receives)])
        return receiver.superseded

    superseded = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    newest: Round = {}
    for round_ in rounds:
        newest |= round_
    told: Round = {}
    for round_ in taken:
        told |= round_
    assert told == newest
    assert sum(map(len, taken)) + superseded == sum(map(len, rounds))
    # Each game's values arrive in the order in which they were sent.
    for key in newest:
        sent = [round_[key] for round_ in rounds if key in round_]
        came = iter(sent)
        assert all(value in came for value in (r[key] for r in taken if key in r))


async def test_a_slow_receiver_holds_the_sender_back(autojump_clock: object) -> None:
    sender, receiver = open_latest(merge)
    sent_at: list[float] = []
    begun = trio.current_time()

    async def send() -> None:
        for value in range(3):
            await sender.send({"a": value})
            sent_at.append(trio.current_time() - begun)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(10)
        assert receiver.depth == 1
        # One waits, the next joined it and waits for both to be taken.
        assert sent_at == [0]
        assert await receiver.receive() == {"a": 1}
        assert receiver.waited_s == 10
        assert await receiver.receive() == {"a": 2}
    assert receiver.superseded == 1
    assert sent_at == [0, 10, 10]


async def test_a_bounded_channel_keeps_order_and_tells_its_depth(autojump_clock: object) -> None:
    sender, receiver = open_bounded(2, int)
    await sender.send(1)
    await trio.sleep(3)
    await sender.send(2)
    assert receiver.depth == 2
    with trio.move_on_after(1) as full:
        await sender.send(3)
    assert full.cancelled_caught
    sender.close()
    assert [value async for value in receiver] == [1, 2]
    assert receiver.waited_s == 1


@pytest.mark.parametrize("kind", ["bounded", "latest"])
async def test_a_receiver_that_is_gone_breaks_the_sender(kind: str, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        sender, receiver = open_latest(merge) if kind == "latest" else open_bounded(1, dict)

        async def send() -> None:
            await sender.send({"a": 1})
            with pytest.raises(trio.BrokenResourceError):
                await sender.send({"a": 2})

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        receiver.close()


async def test_who_is_cancelled_is_not_told_that_the_receiver_is_gone(
    autojump_clock: object,
) -> None:
    sender, receiver = open_bounded(1, int)
    receiver.close()
    with trio.CancelScope() as ending:
        ending.cancel()
        await sender.send(1)
    assert ending.cancelled_caught


async def test_a_send_that_finds_room_lets_nobody_else_run(autojump_clock: object) -> None:
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    sender, _ = open_bounded(1, int)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await sender.send(1)
        ran.append("sender")
    assert ran == ["sender", "other"]


async def test_an_end_is_told_once_all_was_taken(autojump_clock: object) -> None:
    sender, receiver = open_latest(merge)
    with sender:
        await sender.send({"a": 1})
    assert await receiver.receive() == {"a": 1}
    with pytest.raises(trio.EndOfChannel):
        await receiver.receive()
