"""How long a relay's subscriber goes without, whatever dies: real processes, a simulated night.

    python benchmarks/relay_failures.py [--lease 5.0] [--kills 5] [--games 8]
    python benchmarks/relay_failures.py --failover     (HAProxy, and a broker with a replica)

Two daemons, two relays, a Redis with AOF and a client that takes a lost batch, or one that comes
twice, for a fault. For each failure: from its moment to the snapshot of the one who takes over, and
to the next batch, at the client; and how long a daemon that never dies, on the same feed, was
silent at most meanwhile: a batch comes only where a game changed. Prints a table. It is built from
the tests' kit, and needs root, for the namespaces of a partition.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from relay import free_port
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from netns_kit import Cable, hosts
from process_kit import end_all, start
from redis_kit import Redis, check_log
from relay_kit import PORTS, Follower, Nbad, compare, night, until

from nbad.client.messages import Batch, Snapshot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lease", type=float, default=5.0)
    parser.add_argument("--kills", type=int, default=1, help="of the leader")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--failover", action="store_true")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="nbad-relay-") as folder:
            (fail_over if arguments.failover else measure)(Path(folder), arguments)
    finally:
        end_all()


class Watch(threading.Thread):
    """Follows the first of ``ports`` that lets it in, on with the next where that one dies.

    ``came`` is when each batch and snapshot came, its kind and its epoch. A batch that is lost or
    comes twice is a fault, which :meth:`wait` raises.
    """

    def __init__(self, *ports: int) -> None:
        super().__init__(daemon=True)
        self.client = Follower()
        self.came: list[tuple[float, str, str]] = []
        self._ports = deque(ports)
        self._fault: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while True:
                with suppress(ConnectionClosed, OSError):
                    self.client.connect(self._ports[0])
                    while True:
                        self._take(self.client.take())
                self._ports.rotate(-1)
                time.sleep(0.01)
        except BaseException as error:
            self._fault = error
            raise

    def _take(self, message: Any) -> None:
        if isinstance(message, (Batch, Snapshot)):
            self.came.append((time.monotonic(), type(message).__name__, message.epoch))

    def wait(self, since: float, kind: str, count: int = 1, epoch: str = "") -> float:
        """When so many of a kind, of another epoch than ``epoch``, had come from then on."""

        def found() -> list[float]:
            if self._fault is not None:
                raise self._fault
            times = [at for at, what, of in list(self.came)
                     if at > since and what == kind and of != epoch]  # fmt: skip
            return times[count - 1 :][:1]

        (at,) = until(found, f"no {kind}")
        return float(at)

    def silence(self, since: float, end: float) -> float:
        """How long at most no batch came between the two."""
        times = [at for at, what, _ in list(self.came) if since < at < end and what == "Batch"]
        return max(after - before for before, after in pairwise([since, *times, end]))


class Table:
    """What ``client`` goes without, row by row; ``twin`` follows who never dies."""

    def __init__(self, client: Watch, twin: Watch) -> None:
        self._client, self._twin = client, twin
        self.epoch = client.client.epochs[-1]
        say("| what | its snapshot after | next batch after | feed silent | snapshots | epochs |")
        say("|---|---|---|---|---|---|")

    def time(self, what: str, began: float, new_epoch: bool = False) -> None:
        """From ``began`` on; ``new_epoch``: until another daemon leads."""
        client, told, old = self._client, "-", ""
        if new_epoch:
            old = self.epoch
            told = f"{client.wait(began, 'Snapshot', epoch=old) - began:.2f} s"
        at = client.wait(began, "Batch", epoch=old)
        client.wait(began, "Batch", 6, old)
        time.sleep(3.0)  # what else comes of it
        more = [each for each in list(client.came) if each[0] > began]
        epochs = {of for _, _, of in more} - {self.epoch}
        self.epoch = more[-1][2]
        snapshots = sum(kind == "Snapshot" for _, kind, _ in more)
        silent_s = self._twin.silence(began, at)
        say(
            f"| {what} | {told} | {at - began:.2f} s | {silent_s:.2f} s "
            f"| {snapshots} | {len(epochs)} |"
        )


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    lease_s, games = arguments.lease, str(arguments.games)
    with hosts("here", "leader", "broker") as (here, far, middle):
        to_leader, to_broker = Cable(here, far, 1), Cable(here, middle, 2)
        between = Cable(far, middle, 3)
        redis = Redis(
            folder, "--bind", "0.0.0.0", host=to_broker.addresses[1], within=middle.within
        )
        with night("--games", games, "--speed", "8", "--seed", "4", "--host", "0.0.0.0") as feed:
            publish = f'[publish]\nurl = "{redis.url}"\nlease_s = {lease_s}\n'
            near = feed.replace("0.0.0.0", "127.0.0.1")
            text = feed.replace("0.0.0.0", to_leader.addresses[0])
            text += PORTS.replace("port = 0", 'host = "0.0.0.0"\nport = 0')
            text += publish.replace(redis.host, between.addresses[1])
            twin = Nbad(folder, "twin", near + PORTS, "run")
            one = Nbad(folder, "one", text, "run", within=far.within)
            one.host = to_leader.addresses[1]
            one.wait_for("leading")
            two = Nbad(folder, "two", near + PORTS + publish, "run")
            two.wait_for("standing_by")
            relays = [Nbad(folder, name, PORTS + publish, "relay") for name in ("r1", "r2")]
            twin_watch, client = Watch(*ports(twin)), Watch(*ports(*relays))
            client.wait(0.0, "Batch", 20)
            table = Table(client, twin_watch)
            time_it = table.time

            def leads() -> Nbad:
                until(lambda: one.leads() != two.leads(), "not one of two leads")
                return one if one.leads() else two

            began = time.monotonic()
            relays[0].kill()
            time_it("kill -9 of the relay, its client goes to another", began)

            for _ in range(arguments.kills):
                leader = leads()
                began = time.monotonic()
                leader.kill()
                time_it(f"kill -9 of the leader, `lease_s` {lease_s:g}", began, new_epoch=True)
                leader.start()
                leader.wait_for("standing_by")

            began = time.monotonic()
            redis.kill()
            redis.start()
            time_it("kill -9 of the broker (AOF), started again at once", began)

            leader = leads()
            began = time.monotonic()
            leader.kill()
            redis.kill()
            redis.start()
            time_it("kill -9 of both at once, the broker started again", began, new_epoch=True)
            leader.start()
            leader.wait_for("standing_by")

            redis.process.send_signal(signal.SIGSTOP)
            time.sleep(20.0)
            began = time.monotonic()
            redis.process.send_signal(signal.SIGCONT)
            time_it("broker stopped for 20 s, from its going on", began)

            if two.leads():  # the one that the cable is of is to lead
                began = time.monotonic()
                two.process.send_signal(signal.SIGSTOP)
                until(one.leads, "nobody took over")
                time_it("leader stopped (SIGSTOP)", began, new_epoch=True)
                two.process.send_signal(signal.SIGCONT)
                until(lambda: not two.leads(), "two lead")
            began = time.monotonic()
            between.pull()
            time_it("leader and broker cut off from each other", began, new_epoch=True)
            between.plug_in()
            until(lambda: not one.leads(), "two lead")

            leader = leads()
            began = time.monotonic()
            leader.process.send_signal(signal.SIGSTOP)
            time_it("leader stopped (SIGSTOP)", began, new_epoch=True)
            leader.process.send_signal(signal.SIGCONT)

            points = compare(leads(), twin)
            epochs = check_log(redis.log())
            say(
                f"{client.client.batches} batches, none lost or twice; {len(epochs)} publishers "
                f"in the log, never mixed; {points} points of the forecasts equal to those of a "
                "daemon that never died"
            )


_HAPROXY = """defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
listen broker
  bind 127.0.0.1:{port}
  option tcp-check
  tcp-check connect
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  default-server check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
  server one {one}
  server two {two}
"""


def fail_over(folder: Path, arguments: argparse.Namespace) -> None:
    """The broker dies, its replica is promoted, and HAProxy moves everyone to it."""
    folders = [folder / name for name in ("one", "two")]
    for each in folders:
        each.mkdir()
    primary, replica = map(Redis, folders)
    replica.ask("REPLICAOF", primary.host, str(primary.port))
    port = free_port()
    (folder / "haproxy.cfg").write_text(
        _HAPROXY.format(
            port=port,
            **{
                name: f"{each.host}:{each.port}"
                for name, each in (("one", primary), ("two", replica))
            },
        )
    )
    start(["haproxy", "-q", "-f", str(folder / "haproxy.cfg")])
    publish = f'[publish]\nurl = "redis://127.0.0.1:{port}/0"\nlease_s = {arguments.lease}\n'
    with night("--games", str(arguments.games), "--speed", "8", "--seed", "4") as feed:
        until(lambda: "role:master" in replica.ask("INFO", "replication", port=port), "no broker")
        until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"), "no replica")
        twin = Nbad(folder, "twin", feed + PORTS, "run")
        one = Nbad(folder, "d1", feed + PORTS + publish, "run")
        one.wait_for("leading")
        two = Nbad(folder, "d2", feed + PORTS + publish, "run")
        two.wait_for("standing_by")
        relay = Nbad(folder, "relay", PORTS + publish, "relay")
        client = Watch(*ports(relay))
        client.wait(0.0, "Batch", 10)
        table = Table(client, Watch(*ports(twin)))
        for number in range(arguments.kills):
            began = time.monotonic()
            primary.kill()
            time.sleep(1.0)  # who promotes needs a moment to be sure
            replica.ask("REPLICAOF", "NO", "ONE")
            table.time("the broker dies, its replica is promoted 1 s later", began)
            if number + 1 < arguments.kills:  # the dead one comes back as the replica
                primary.start("--replicaof", f"{replica.host} {replica.port}")
                primary, replica = replica, primary
                until(
                    lambda: "master_link_status:up" in replica.ask("INFO", "replication"),  # noqa: B023
                    "no replica",
                )
        leads = one if one.leads() else two
        points = compare(leads, twin)
        say(
            f"{client.client.batches} batches, none lost or twice; "
            f"{len(client.client.epochs)} epochs; {points} points of the forecasts equal"
        )
        check_log((replica if primary.process.poll() is not None else primary).log())


def ports(*daemons: Nbad) -> list[int]:
    return [each.ports("stream")[0] for each in daemons]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
