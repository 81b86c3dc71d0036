"""A night of which one answer in twelve is bad, in nine ways, and whose plays lag behind the board:
every final is right, and nothing is taken back in silence."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest
import structlog
import trio

from nbad.channels import open_bounded, open_latest, open_latest_value
from nbad.domain import State, Status, Update
from nbad.feed.poll_plan import TrackedGame
from nbad.model.forecaster import Forecaster
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed
from nbad.simulator import GamesNight, simulate_night
from nbad.simulator.answer import LIVE_DATA, SCHEDULE, Answer, Gzip, answer
from nbad.simulator.faults import Faults, Struck, parse_faults
from nbad.stages.envelopes import Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.poller import poll

KINDS = ("503", "403", "stall", "truncate", "regress", "html", "reset", "garbage", "nulls")
_NO_GAMES: tuple[TrackedGame, ...] = ()


class LateFeed(httpx.AsyncBaseTransport):
    """A night at ``speed`` from half an hour before its end on, on Trio's clock; plays ``lag_s``
    behind the board."""

    def __init__(self, night: GamesNight, faults: Faults, speed: float, lag_s: float) -> None:
        self.night, self.faults, self.speed, self.lag_s = night, faults, speed, lag_s
        self.begun = trio.current_time()
        self.gzip = Gzip()
        self.asked: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked[path] += 1
        struck = self.faults.decide(path, self.asked[path])
        await trio.sleep(0.02)
        kind = struck.fault.kind if struck else ""
        self.struck[kind] += 1
        if kind == "stall":
            await trio.sleep_forever()
        if kind == "reset":
            raise httpx.ReadError("reset", request=request)
        reply = self.reply(path, request, struck)
        body = reply.body[: len(reply.body) // 2] if kind == "truncate" else reply.body
        try:
            return httpx.Response(reply.status, headers=reply.headers, content=body)
        except httpx.DecodingError:
            raise httpx.RemoteProtocolError("cut", request=request) from None

    def reply(self, path: str, request: httpx.Request, struck: Struck | None) -> Answer:
        lag_s = self.lag_s if "playbyplay" in path else 0.0
        now = self.night.starts_at + (trio.current_time() - self.begun - lag_s) * self.speed
        headers = {name.lower(): value for name, value in request.headers.items()}
        return answer(self.night, "GET", path, headers, now, self.gzip, struck)


class Watcher:
    """Holds every message to what may be believed."""

    def __init__(self, night: GamesNight) -> None:
        self.told: dict[str, Update] = {}
        self.messages = 0
        # What the league ever called final, of each game.
        self.finals = {
            game_id: {
                (stand.home, stand.away)
                for revision in range(1, len(feed.moments) + 1)
                if (stand := feed.standing(revision)).status == 3
            }
            for game_id in night.game_ids
            for feed in (night.feed(game_id),)
        }

    def see(self, update: Update) -> None:
        entry = update.entry
        now = State(entry.status, entry.period, entry.clock_s, entry.home_score, entry.away_score)
        before = self.told.get(entry.game_id)
        if before is not None and not update.corrected:
            last = before.entry
            was = State(last.status, last.period, last.clock_s, last.home_score, last.away_score)
            assert now.rank >= was.rank, (was, now)
            assert now.points >= was.points, (was, now)
            assert was.status != "final" or now.score == was.score, (was, now)
        if entry.status is Status.FINAL:
            assert now.score in self.finals[entry.game_id], now
        self.told[entry.game_id] = update
        self.messages += 1


@pytest.mark.parametrize(("lag_s", "seed"), [(1.0, 3), (30.0, 4)])
async def test_finals_are_right_and_nothing_goes_back_in_silence(
    lag_s: float, seed: int, autojump_clock: object
) -> None:
    await play(simulate_night(2, seed, tip_offs=[-6000.0, -5400.0]), lag_s, seed, speed=8.0)


async def play(night: GamesNight, lag_s: float, seed: int, speed: float) -> Watcher:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    faults = parse_faults([f"{kind}:0.009" for kind in KINDS], seed)
    feed = LateFeed(night, faults, speed, lag_s)
    address = Feed(base_url=f"http://feed{LIVE_DATA}", schedule_url=f"http://feed{SCHEDULE}")
    settings = Settings(Runtime(Config(feed=address), Forecaster.load()))
    to_parse, fetched = open_latest(merge_fetched)
    to_poll, followed = open_latest_value(_NO_GAMES)
    to_build, updates = open_bounded(1, Updates)
    watcher = Watcher(night)

    async def take() -> None:
        with updates:
            async for update in updates:
                for game in update.games:
                    watcher.see(game)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        nursery.start_soon(parse, fetched, to_build, to_poll)
        # Until it is over, and what is believed late was believed.
        with trio.move_on_after((night.ends_at - night.starts_at) / speed + lag_s + 120.0):
            clock = lambda: night.starts_at + trio.current_time() - feed.begun  # noqa: E731
            await poll(to_parse, followed, settings, transport=feed, now=clock)
    told = {game_id: update.entry for game_id, update in watcher.told.items()}
    assert {entry.status for entry in told.values()} == {Status.FINAL}
    scores = {game_id: (entry.home_score, entry.away_score) for game_id, entry in told.items()}
    assert scores == night.finals
    assert len(feed.struck) == len(KINDS), feed.struck  # two are statuses, and one is none
    assert 0.05 < 1 - feed.struck[""] / feed.struck.total() < 0.12
    return watcher
