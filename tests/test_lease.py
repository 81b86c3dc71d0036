"""The lease and the log in a real Redis: one writes, and a fence never comes twice."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from redis_kit import Redis, needs_redis

from nbad.publish.broker import START, Broker, BrokerError, FencedError, Lease, with_broker
from nbad.publish.entries import encode
from nbad.settings.schema import Publish

pytestmark = needs_redis


@pytest.fixture
def redis(tmp_path: Path) -> Redis:
    return Redis(tmp_path)


def work(redis: Redis, task: Callable[[Broker], Awaitable[None]], lease_s: float = 30.0) -> None:
    publish = Publish(url=redis.url, keep=16, lease_s=lease_s)
    trio.run(functools.partial(with_broker, publish, task))


ENTRY = encode(7, b"{}")


def test_one_of_two_gets_the_lease_and_only_he_writes(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        first = await broker.acquire("one")
        assert first is not None
        assert await broker.acquire("one") == first
        assert await broker.acquire("two") is None
        with pytest.raises(FencedError):
            await broker.write("two", first.fence, ENTRY)
        await broker.release("two")
        await broker.write("one", first.fence, ENTRY)
        await broker.release("one")
        with pytest.raises(FencedError):
            await broker.write("one", first.fence, ENTRY)
        second = await broker.acquire("two")
        assert second is not None
        assert second.fence > first.fence == second.before
        with pytest.raises(FencedError):
            await broker.write("one", first.fence, ENTRY)
        again = await broker.read(START, 10, 0.1)
        assert [fields for _, fields in again] == [{b"fence": b"7", b"body": b"{}"}]
        assert await broker.read(again[-1][0], 10, 0.01) == []

    work(redis, task)


def test_a_lease_runs_out_and_a_pause_does_not_bring_it_back(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        first = await broker.acquire("one")
        assert first is not None
        await trio.sleep(0.7)
        with pytest.raises(FencedError):
            await broker.write("one", first.fence, ENTRY)
        second = await broker.acquire("one")
        assert second is not None
        assert second.fence > first.fence == second.before
        with pytest.raises(FencedError):  # nor does the lease that the same one has now
            await broker.write("one", first.fence, ENTRY)

    work(redis, task, lease_s=0.5)


def test_each_entry_renews_the_lease(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        first = await broker.acquire("one")
        assert first is not None
        for _ in range(8):
            await trio.sleep(0.1)
            await broker.write("one", first.fence, ENTRY)
        assert await broker.acquire("one") == first

    work(redis, task, lease_s=0.5)


def test_a_broker_whose_clock_went_back_gives_a_higher_fence(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        await broker._connection.call("SET", broker._fence, 10**15)
        lease = await broker.acquire("one")
        assert lease == Lease(10**15 + 1, 10**15)

    work(redis, task)


@pytest.mark.parametrize("fence", ["rubbish", "", "inf", "nan", "-7", "1e300"])
def test_a_fence_that_is_no_number_is_as_good_as_none(redis: Redis, fence: str) -> None:
    async def task(broker: Broker) -> None:
        await broker._connection.call("SET", broker._fence, fence)
        lease = await broker.acquire("one")
        assert lease is not None
        assert lease.fence > 10**12  # the time in ms
        assert lease.before == 0

    work(redis, task)


def test_a_broker_that_forgot_everything_still_gives_a_higher_fence(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        leases.append(await broker.acquire("one"))
        await broker._connection.call("FLUSHALL")
        await trio.sleep(0.002)  # the fence is the time in ms
        leases.append(await broker.acquire("two"))

    leases: list[Lease | None] = []
    work(redis, task)
    first, second = leases
    assert first is not None
    assert second is not None
    assert second.fence > first.fence
    assert second.before == 0


def test_the_log_keeps_about_as_many_entries_as_it_should(redis: Redis) -> None:
    async def task(broker: Broker) -> None:
        lease = await broker.acquire("one")
        assert lease is not None
        for _ in range(60):
            told = await broker.write("one", lease.fence, encode(lease.fence, bytes(5000)))
        assert 16 <= len(await broker.read(START, 1000, 0.1)) <= 20
        assert told == len(await broker.read(START, 1000, 0.1))

    work(redis, task)


def test_what_goes_wrong_with_the_broker_is_one_error_with_its_cause(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    redis = Redis(tmp_path, "--requirepass", "s3cret", "--maxmemory", "2mb")
    problems: list[str] = []

    async def ask(broker: Broker) -> None:
        await broker.acquire("one")

    async def fill(broker: Broker) -> None:
        lease = await broker.acquire("one")
        assert lease is not None
        await broker.write("one", lease.fence, encode(lease.fence, bytes(4_000_000)))
        await broker.write("one", lease.fence, ENTRY)

    def fails(task: Callable[[Broker], Awaitable[None]], **more: object) -> str:
        publish = Publish.model_validate({"url": redis.url, **more})
        with pytest.raises(BrokerError) as caught:
            trio.run(with_broker, publish, task)
        problems.append(str(caught.value))
        return problems[-1]

    assert "Authentication required" in fails(ask)
    trio.run(with_broker, Publish(url=redis.url, password_file=secret), ask)
    assert "OOM" in fails(fill, password_file=secret)
    assert "readable file" in fails(ask, password_file=tmp_path / "none")
    redis.kill()
    assert "127.0.0.1" in fails(ask, password_file=secret)
    assert not any("s3cret" in problem for problem in problems)
