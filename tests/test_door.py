"""The door: newcomers at a pace, each address in its turn, the silent ones in nobody's way."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from nbad.net.door import Door, Share, Visit

HOST = "127.0.0.1"


def make_door(
    attend: Callable[[Visit], Awaitable[None]], *, most: int = 1000, waiting: int = 1000,
    beginning: int = 1000, per_s: float = 1e6,
) -> Door:  # fmt: skip
    return Door("stream", attend, most=most, share=lambda: Share(waiting, beginning, per_s))


@asynccontextmanager
async def listening(ports: int = 1) -> AsyncIterator[list[trio.SocketListener]]:
    opened = [
        listener for _ in range(ports) for listener in await trio.open_tcp_listeners(0, host=HOST)
    ]
    try:
        yield opened
    finally:
        for listener in opened:
            await listener.aclose()


def connect(listener: trio.SocketListener, source: str = HOST) -> socket.socket:
    return socket.create_connection(listener.socket.getsockname(), source_address=(source, 0))


def is_reset(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False


@pytest.mark.parametrize("ports", [1, 2])
async def test_fifty_at_once_and_a_thousand_a_second(autojump_clock: MockClock, ports: int) -> None:
    came: list[float] = []
    async with listening(ports) as listeners, trio.open_nursery() as nursery:
        clients = [connect(listeners[number % ports]) for number in range(150)]
        begun = trio.current_time()

        async def take(visit: Visit) -> None:
            came.append(trio.current_time() - begun)
            visit.settle()
            if len(came) == len(clients):
                nursery.cancel_scope.cancel()

        door = make_door(take)
        for listener in listeners:
            nursery.start_soon(door.accept, listener)
        await door.run(nursery)
    for client in clients:
        client.close()
    assert came[49] == pytest.approx(0, abs=1e-6)
    assert came[-1] == pytest.approx(0.1, abs=0.005)


async def test_a_storm_of_one_address_leaves_another_its_turn(autojump_clock: MockClock) -> None:
    order: list[str] = []
    async with listening() as (listener,), trio.open_nursery() as nursery:
        clients = [connect(listener, "127.0.0.2") for _ in range(140)]
        clients.append(connect(listener, "127.0.0.3"))

        async def take(visit: Visit) -> None:
            order.append(visit.address)
            if len(order) == len(clients):
                nursery.cancel_scope.cancel()

        door = make_door(take)
        nursery.start_soon(door.accept, listener)
        await trio.sleep(0.1)
        await door.run(nursery)
    for client in clients:
        client.close()
    # Among the first fifty, whose tasks Trio starts in any order; it came as the 141st.
    assert order.index("127.0.0.3") < 50


async def test_an_address_has_a_rate_and_another_does_not_wait_for_it(
    autojump_clock: MockClock,
) -> None:
    came: dict[str, list[float]] = {"127.0.0.2": [], "127.0.0.3": []}
    async with listening() as (listener,), trio.open_nursery() as nursery:
        clients = [connect(listener, "127.0.0.2") for _ in range(300)]
        begun = trio.current_time()

        async def take(visit: Visit) -> None:
            came[visit.address].append(trio.current_time() - begun)
            visit.settle()

        door = make_door(take, per_s=100)
        nursery.start_soon(door.accept, listener)
        nursery.start_soon(door.run, nursery)
        await trio.sleep(0.5)
        clients += [connect(listener, "127.0.0.3") for _ in range(10)]
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()
    storm, other = came.values()
    assert len(storm) == 300
    # What is due in two seconds at once, and then at its pace.
    assert sum(moment < 0.5 for moment in storm) == pytest.approx(250, abs=3)
    assert storm[-1] == pytest.approx(1, abs=0.02)
    assert other[-1] == pytest.approx(0.5, abs=0.02)


async def test_those_who_hang_up_while_they_wait_take_nobody_s_turn(
    autojump_clock: MockClock,
) -> None:
    came: list[float] = []
    async with listening() as (listener,), trio.open_nursery() as nursery:
        gone = [connect(listener) for _ in range(900)]
        for client in gone:
            client.sendall(b"GET")
        begun = trio.current_time()

        async def take(visit: Visit) -> None:
            came.append(trio.current_time() - begun)
            visit.settle()

        door = make_door(take, waiting=10_000)
        nursery.start_soon(door.accept, listener)
        await trio.sleep(0.3)
        for client in gone:
            client.close()
        clients = [connect(listener) for _ in range(60)]
        nursery.start_soon(door.run, nursery)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()
    assert len(came) == 60
    assert came[-1] == pytest.approx(0.31, abs=0.01)


async def test_one_that_says_nothing_holds_up_its_own_address_only(
    autojump_clock: MockClock,
) -> None:
    order: list[str] = []
    settle: list[Visit] = []
    async with listening() as (listener,), trio.open_nursery() as nursery:
        clients = [connect(listener, "127.0.0.2") for _ in range(3)]

        async def take(visit: Visit) -> None:
            order.append(visit.address)
            settle.append(visit)
            await trio.sleep_forever()

        door = make_door(take, beginning=2)
        nursery.start_soon(door.accept, listener)
        nursery.start_soon(door.run, nursery)
        await trio.sleep(1)
        assert order == ["127.0.0.2"] * 2
        clients.append(connect(listener, "127.0.0.3"))
        await trio.sleep(1)
        assert order == ["127.0.0.2"] * 2 + ["127.0.0.3"]
        settle[0].settle()
        settle[0].settle()  # once more frees no second place
        await trio.sleep(1)
        assert order == ["127.0.0.2"] * 2 + ["127.0.0.3", "127.0.0.2"]
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()


async def test_past_those_that_may_wait_they_are_reset_and_the_log_is_spared(
    autojump_clock: MockClock,
) -> None:
    async with listening() as (listener,), trio.open_nursery() as nursery:
        clients = [connect(listener) for _ in range(30)]

        async def take(visit: Visit) -> None:
            await trio.sleep_forever()

        door = make_door(take, waiting=3, beginning=1)
        nursery.start_soon(door.run, nursery)
        with capture_logs() as logs:
            nursery.start_soon(door.accept, listener)
            await trio.sleep(1)
            assert [is_reset(client) for client in clients] == [False] * 4 + [True] * 26
            await trio.sleep(60)
            clients.append(connect(listener))
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()
    told = [log["unlogged"] for log in logs if log["event"] == "connection_refused"]
    assert told == [0] * 10 + [16]


async def test_what_waits_is_closed_with_the_door(autojump_clock: MockClock) -> None:
    async with listening() as (listener,), trio.open_nursery() as nursery:
        clients = [connect(listener) for _ in range(5)]

        async def take(visit: Visit) -> None:
            await trio.sleep_forever()

        door = make_door(take, beginning=1)
        nursery.start_soon(door.accept, listener)
        nursery.start_soon(door.run, nursery)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert all(is_reset(client) for client in clients)
    for client in clients:
        client.close()


async def test_where_all_room_is_taken_a_connection_that_does_nothing_is_ended(
    autojump_clock: MockClock,
) -> None:
    async with listening() as (listener,), trio.open_nursery() as nursery:
        scopes: list[trio.CancelScope] = []

        async def take(visit: Visit) -> None:
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await trio.sleep_forever()

        door = Door(
            "http", take, most=3, share=lambda: Share(9, 9, 1e6),
            make_room=lambda: scopes.pop(0).cancel(),
        )  # fmt: skip
        nursery.start_soon(door.accept, listener)
        nursery.start_soon(door.run, nursery)
        clients = [connect(listener) for _ in range(3)]
        await trio.sleep(1)
        assert [is_reset(client) for client in clients] == [False, False, False]
        clients.append(connect(listener))
        await trio.sleep(1)
        assert sum(is_reset(client) for client in clients) == 1
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()


@pytest.mark.parametrize("half_closing", [False, True])
async def test_who_closed_its_side_has_a_turn_where_it_may_wait_for_an_answer(
    autojump_clock: MockClock, half_closing: bool
) -> None:
    came: list[Visit] = []
    async with listening() as (listener,), trio.open_nursery() as nursery:

        async def take(visit: Visit) -> None:
            came.append(visit)

        door = Door("any", take, most=9, share=lambda: Share(9, 9, 1e6), half_closing=half_closing)
        nursery.start_soon(door.accept, listener)
        with connect(listener) as client:
            client.shutdown(socket.SHUT_WR)
            await trio.sleep(1)
            nursery.start_soon(door.run, nursery)
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert len(came) == half_closing


async def test_more_room_lets_those_in_that_wait_for_it(autojump_clock: MockClock) -> None:
    async with listening(2) as listeners, trio.open_nursery() as nursery:
        came = 0

        async def take(visit: Visit) -> None:
            nonlocal came
            came += 1
            await trio.sleep_forever()

        door = make_door(take, most=1)
        for listener in listeners:
            nursery.start_soon(door.accept, listener)
        nursery.start_soon(door.run, nursery)
        clients = [connect(listener) for listener in listeners for _ in range(2)]
        await trio.sleep(1)
        assert came == 1
        door.resize(4)
        await trio.sleep(1)
        assert came == 4
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()


async def test_room_that_one_listener_leaves_is_another_ones(autojump_clock: MockClock) -> None:
    """Of two that wait for room the first finds nobody: who came to it was reset meanwhile."""
    async with listening(2) as listeners, trio.open_nursery() as nursery:
        came: list[Visit] = []
        end = trio.Event()

        async def take(visit: Visit) -> None:
            came.append(visit)
            await end.wait()
            if len(came) > 1:
                await trio.sleep_forever()

        door = make_door(take, most=1)
        nursery.start_soon(door.run, nursery)
        clients = [connect(listeners[0])]
        for listener in listeners:
            nursery.start_soon(door.accept, listener)
        await trio.sleep(1)
        clients += [connect(listeners[0])]
        await trio.sleep(1)
        clients += [connect(listeners[1])]
        await trio.sleep(1)
        taken, _ = await listeners[0].socket.accept()  # behind the back of the one that waits
        end.set()
        await trio.sleep(1)
        assert len(came) == 2
        taken.close()
        nursery.cancel_scope.cancel()
    for client in clients:
        client.close()
