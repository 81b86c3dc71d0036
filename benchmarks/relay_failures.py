"""How long a relay's subscriber goes without, whatever dies: real processes, a simulated night.

    python benchmarks/relay_failures.py [--lease 5.0]     (root, for the namespaces of a partition)

Two daemons, two relays, a Redis with AOF and a client that takes a lost batch, or one that comes
twice, for a fault. For each failure: from its moment to the snapshot of the one who takes over, and
to the next batch, at the client. Prints a table. It is built from the tests' kit.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from netns_kit import Cable, hosts
from process_kit import end_all
from redis_kit import Redis, check_log
from relay_kit import PORTS, Follower, Nbad, compare, night, until


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lease", type=float, default=5.0)
    lease_s = parser.parse_args().lease
    try:
        with tempfile.TemporaryDirectory(prefix="nbad-relay-") as folder:
            measure(Path(folder), lease_s)
    finally:
        end_all()


def measure(folder: Path, lease_s: float) -> None:
    with hosts("here", "leader", "broker") as (here, far, middle):
        to_leader, to_broker = Cable(here, far, 1), Cable(here, middle, 2)
        between = Cable(far, middle, 3)
        redis = Redis(
            folder, "--bind", "0.0.0.0", host=to_broker.addresses[1], within=middle.within
        )
        with night("--games", "3", "--speed", "8", "--seed", "4", "--host", "0.0.0.0") as feed:
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
            client = Follower()
            client.connect(relays[0].ports("stream")[0])
            client.take_batches(20)
            say("| what | its snapshot after | next batch after | snapshots | epochs |")
            say("|---|---|---|---|---|")

            def time_it(what: str, began: float, new_epoch: bool = False) -> None:
                epochs, snapshots = len(client.epochs), client.snapshots
                while new_epoch and len(client.epochs) == epochs:
                    client.take()
                told = f"{time.monotonic() - began:.2f} s" if new_epoch else "-"
                client.take_batches(1)  # in a break of the game none comes for a while
                took_s = time.monotonic() - began
                client.take_batches(5)
                more = client.snapshots - snapshots, len(client.epochs) - epochs
                say(f"| {what} | {told} | {took_s:.2f} s | {more[0]} | {more[1]} |")

            def leads() -> Nbad:
                until(lambda: one.leads() != two.leads(), "not one of two leads")
                return one if one.leads() else two

            began = time.monotonic()
            relays[0].kill()
            client.connect(relays[1].ports("stream")[0])
            time_it("kill -9 of the relay, its client goes to another", began)

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
                two.process.send_signal(signal.SIGSTOP)
                until(one.leads, "nobody took over")
                two.process.send_signal(signal.SIGCONT)
                until(lambda: not two.leads(), "two lead")
                client.take_batches(5)
            began = time.monotonic()
            between.pull()
            time_it("leader and broker cut off from each other", began, new_epoch=True)
            between.plug_in()
            until(lambda: not one.leads(), "two lead")
            client.take_batches(5)

            leader = leads()
            began = time.monotonic()
            leader.process.send_signal(signal.SIGSTOP)
            time_it("leader stopped (SIGSTOP)", began, new_epoch=True)
            leader.process.send_signal(signal.SIGCONT)
            client.take_batches(5)

            points = compare(leads(), twin)
            epochs = check_log(redis.log())
            say(
                f"{client.batches} batches, none lost or twice; {len(epochs)} publishers in the "
                f"log, never mixed; {points} points of the forecasts equal to those of a daemon "
                "that never died"
            )
            client.close()


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
