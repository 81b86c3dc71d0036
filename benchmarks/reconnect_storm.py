"""A relay of 50,000 dies: when its subscribers are back on others, and what that asks of those.

    python benchmarks/reconnect_storm.py [--clients 50000] [--relays 1,4,9,19,49] [--seed 1]

A simulation, in made-up time: the same figures each time. The door is nbad's own throttle, the
pauses are those of its client; a balancer deals the clients out evenly, each relay serves them in
turn, and who has waited for `CONNECT_S` gives up and comes again later, its turn being wasted.
Beside it, what clients without a backoff would do. Prints a table.
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from nbad.client.feed import CONNECT_S, FIRST_PAUSE_S, LONGEST_PAUSE_S
from nbad.net.pacing import BURST_S, NEWCOMERS_PER_S, Throttle

Pause = Callable[[int, Random], float]


def doubling(failures: int, random: Random) -> float:
    """What nbad's client does: ``Feed._drop``."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
    return random.uniform(longest / 2, longest)


def at_once(failures: int, random: Random) -> float:
    """What a loop around ``connect`` does."""
    return 0.0


def each_second(failures: int, random: Random) -> float:
    """What many clients do."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times in s since the relay died; ``tries`` and ``wasted`` turns in all."""

    half: float
    most: float
    last: float
    tries: int
    wasted: int
    busiest: int  # tries in the busiest second, of all relays together


def simulate(clients: int, relays: int, pause: Pause, seed: int) -> Outcome:
    """Let ``clients`` lose their relay at 0 and come back on ``relays`` others."""
    random = Random(seed)
    doors = [Throttle(NEWCOMERS_PER_S, BURST_S) for _ in range(relays)]
    failures = [0] * clients
    due = [(pause(0, random), client) for client in range(clients)]
    heapq.heapify(due)
    back: list[float] = []
    busy: Counter[int] = Counter()
    tries = 0
    while due:
        now, client = heapq.heappop(due)
        wait_s = doors[tries % relays].delay(now)
        tries += 1
        busy[int(now)] += 1
        if wait_s <= CONNECT_S:
            back.append(now + wait_s)
            continue
        failures[client] += 1
        again = now + CONNECT_S + pause(failures[client], random)
        heapq.heappush(due, (again, client))
    back.sort()
    return Outcome(
        back[clients // 2],
        back[clients * 99 // 100],
        back[-1],
        tries,
        tries - clients,
        max(busy.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50_000)
    parser.add_argument("--relays", default="1,4,9,19,49")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| relays | clients | half back | 99 % | all | tries a client | busiest second |")
    print("|---|---|---|---|---|---|---|")
    for relays in map(int, arguments.relays.split(",")):
        for pause in (doubling, each_second, at_once):
            found = simulate(arguments.clients, relays, pause, arguments.seed)
            print(
                f"| {relays} | {pause.__name__.replace('_', ' ')} | {found.half:.1f} s "
                f"| {found.most:.1f} s | {found.last:.1f} s "
                f"| {found.tries / arguments.clients:.2f} | {found.busiest:,} |"
            )


if __name__ == "__main__":
    main()
