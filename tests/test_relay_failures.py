"""Leader and broker fail at once, or lose each other while both live: one night, told once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from netns_kit import Cable, hosts, needs_hosts
from redis_kit import Redis, check_log, needs_redis
from relay_kit import PORTS, Follower, Nbad, compare, night, until

from nbad.exit_codes import OK

pytestmark = [
    pytest.mark.slow,
    needs_redis,
]

LEASE_S = 2.0
NIGHT = ("--games", "3", "--speed", "15", "--seed", "4")


def publish(redis: Redis) -> str:
    return f'[publish]\nurl = "{redis.url}"\nlease_s = {LEASE_S}\n'


def take_until_new_epoch(client: Follower) -> None:
    before = len(client.epochs)
    while len(client.epochs) == before:
        client.take()


@pytest.mark.soak
def test_leader_and_broker_are_killed_at_once(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    client = Follower()
    with night(*NIGHT) as feed:
        twin = Nbad(tmp_path, "twin", feed + PORTS, "run")
        text = feed + PORTS + publish(redis)
        one, two = (Nbad(tmp_path, name, text, "run") for name in ("one", "two"))
        until(lambda: one.leads() != two.leads(), "not one of two leads")
        relay = Nbad(tmp_path, "relay", PORTS + publish(redis))
        client.connect(relay.ports("stream")[0])
        client.take_batches(3)
        leader, other = (one, two) if one.leads() else (two, one)
        leader.kill()
        redis.kill()
        relay.wait_for("log_unreachable")
        redis.start()
        take_until_new_epoch(client)
        client.take_batches(3)
        assert other.leads()
        assert client.snapshots == 2
        # It comes back, as the one that waits.
        leader.start()
        leader.wait_for("standing_by")
        client.take_batches(3)
        assert len(client.epochs) == 2
        assert compare(other, twin) > 0
        client.close()
        assert (relay.end(), other.end(), twin.end()) == (OK, OK, OK)
        assert check_log(redis.log())[:2] == client.epochs


@pytest.mark.soak
@needs_hosts
def test_leader_and_broker_lose_each_other_while_both_live(tmp_path: Path) -> None:
    client, near = Follower(), Follower()
    with hosts("here", "leader", "broker") as (here, far, middle):
        to_leader, to_broker = Cable(here, far, 1), Cable(here, middle, 2)
        between = Cable(far, middle, 3)
        redis = Redis(
            tmp_path, "--bind", "0.0.0.0", host=to_broker.addresses[1], within=middle.within
        )
        with night(*NIGHT, "--host", "0.0.0.0") as feed:
            twin = Nbad(tmp_path, "twin", at(feed, "127.0.0.1") + PORTS, "run")
            text = at(feed, to_leader.addresses[0])
            text += PORTS.replace("port = 0", 'host = "0.0.0.0"\nport = 0')
            text += publish(redis).replace(redis.host, between.addresses[1])
            one = Nbad(tmp_path, "one", text, "run", within=far.within)
            one.host = to_leader.addresses[1]
            one.wait_for("leading")
            two = Nbad(tmp_path, "two", at(feed, "127.0.0.1") + PORTS + publish(redis), "run")
            two.wait_for("standing_by")
            relay = Nbad(tmp_path, "relay", PORTS + publish(redis))
            client.connect(relay.ports("stream")[0])
            near.connect(one.ports("stream")[0], one.host)
            client.take_batches(3)
            # Nothing gets through any more: the other takes over, and both serve their own.
            between.pull()
            take_until_new_epoch(client)
            one.wait_for("publish_failed")
            near.take_batches(5)
            client.take_batches(5)
            assert two.leads()
            assert one.process.poll() is None
            # Back again, the first one stands by: it may not write what it could not.
            between.plug_in()
            until(lambda: one.events("standing_by"), "the first one does not stand by")
            client.take_batches(5)
            assert client.snapshots == len(client.epochs) == 2
            assert compare(two, twin) > 0
            # The leader stands still for longer than its lease, and goes on as if nothing was.
            two.process.send_signal(signal.SIGSTOP)
            take_until_new_epoch(client)
            two.process.send_signal(signal.SIGCONT)
            until(lambda: not two.leads(), "the second one goes on leading")
            client.take_batches(5)
            assert one.leads()
            assert client.snapshots == len(client.epochs) == 3
            assert client.epochs[2] == client.epochs[0]
            assert compare(one, twin) > 0
            near.close()
            client.close()
            assert [each.end() for each in (relay, one, two, twin)] == [OK] * 4
            assert check_log(redis.log())[:3] == client.epochs


def at(feed: str, host: str) -> str:
    return feed.replace("0.0.0.0", host)
