"""A relay of 50,000 dies: when its subscribers are back on others, and what that asks of those.

    python benchmarks/reconnect_storm.py [--clients 50000] [--relays 1,4,9,19,49] [--seed 1]

A simulation in made-up time: the same figures each time. The door is nbad's own throttle, the
pauses are those of its client, beside what clients without a backoff do. A balancer deals the
clients out evenly; each relay serves in turn; who has waited for `CONNECT_S` gives up and comes
again. `--wasted`: with a door that spends a turn on those who gave up, as it did once. What is not
back after ten minutes never is. Prints a table.
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter, deque
from collections.abc import Callable
from random import Random

from nbad.client.feed import CONNECT_S, FIRST_PAUSE_S, LONGEST_PAUSE_S
from nbad.net.pacing import BURST_S, NEWCOMERS_PER_S, Throttle

END_S = 600.0

Pause = Callable[[int, Random], float]


def doubling(failures: int, random: Random) -> float:
    """What nbad's client does: ``Feed._drop``."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
    return random.uniform(longest / 2, longest)


def each_second(failures: int, random: Random) -> float:
    """What many clients do."""
    return 1.0


def at_once(failures: int, random: Random) -> float:
    """What a loop around ``connect`` does."""
    return 0.0


class Relay:
    """Its queue: who came when; those who gave up are passed over, or cost a turn."""

    def __init__(self, wasted: bool) -> None:
        self.turns = Throttle(NEWCOMERS_PER_S, BURST_S)
        self.queue: deque[tuple[float, int]] = deque()
        self.free_at = 0.0
        self.wasted = wasted

    def serve(self, until: float) -> list[tuple[float, int]]:
        """Who is let in until then, and when."""
        served = []
        while self.queue:
            came, client = self.queue[0]
            now = max(came, self.free_at)
            if not self.wasted and now > came + CONNECT_S:
                self.queue.popleft()
                continue
            if now > until:
                break
            self.queue.popleft()
            at = now + self.turns.delay(now)
            self.free_at = at
            if at <= came + CONNECT_S:
                served.append((at, client))
        return served


def simulate(clients: int, relays: int, pause: Pause, seed: int, wasted: bool) -> list[str]:
    """Let ``clients`` lose their relay at 0; a row of the table."""
    random = Random(seed)
    others = [Relay(wasted) for _ in range(relays)]
    failures = [0] * clients
    due = [(pause(0, random), client) for client in range(clients)]
    heapq.heapify(due)
    back: dict[int, float] = {}
    busy: Counter[int] = Counter()
    tries, step_s, now = 0, 0.1, 0.0
    while len(back) < clients and now < END_S:
        now += step_s
        while due and due[0][0] <= now:
            came, client = heapq.heappop(due)
            if client in back:
                continue
            others[tries % relays].queue.append((came, client))
            tries += 1
            busy[int(came)] += 1
            # When it gives up, if it is not in by then, and comes again.
            failures[client] += 1
            heapq.heappush(due, (came + CONNECT_S + pause(failures[client], random), client))
        for relay in others:
            back.update((client, at) for at, client in relay.serve(now))
    times = sorted(back.values())

    def when(share: float) -> str:
        at = max(0, round(share * clients) - 1)
        return f"{times[at]:.1f} s" if at < len(times) else "never"

    shares = [when(share) for share in (0.5, 0.99, 1.0)]
    name = pause.__name__.replace("_", " ")
    return [str(relays), name, *shares, f"{tries / clients:.2f}", f"{max(busy.values()):,}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50_000)
    parser.add_argument("--relays", default="1,4,9,19,49")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wasted", action="store_true")
    arguments = parser.parse_args()
    heads = ["others", "pauses", "half back", "99 %", "all", "tries a client", "busiest second"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")  # noqa: T201 - its output
    for relays in map(int, arguments.relays.split(",")):
        for pause in (doubling, each_second, at_once):
            row = simulate(arguments.clients, relays, pause, arguments.seed, arguments.wasted)
            print(f"| {' | '.join(row)} |", flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
