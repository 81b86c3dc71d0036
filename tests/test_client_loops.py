"""The client on either loop, and without one; its frames."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
import trio
from stream_kit import Stage, make_game, running

from nbad.client import Batch, Dropped, DroppedError, Snapshot, connect, follow
from nbad.client.messages import Game
from nbad.client.view import View, elapsed_s
from nbad.domain import Game as OwnGame
from nbad.pattern import clock
from nbad.stream import wire


class Served:
    """The stage in a thread with a loop of its own, as it is in another process."""

    def __init__(self) -> None:
        self.url = ""
        self._stage: Stage | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._ready = threading.Event()
        self._end: trio.Event | None = None

    def run(self) -> None:
        trio.run(self._main)

    async def _main(self) -> None:
        self._token, self._end = trio.lowlevel.current_trio_token(), trio.Event()
        async with running() as stage:
            self._stage, self.url = stage, f"ws://127.0.0.1:{stage.port}/v1/stream"
            self._ready.set()
            await self._end.wait()

    def wait(self) -> None:
        assert self._ready.wait(30)

    def tick(self, *games: OwnGame) -> None:
        assert self._stage is not None
        trio.from_thread.run(self._stage.tick, *games, trio_token=self._token)

    def cut(self) -> None:
        assert self._stage is not None
        for subscriber in self._stage.hub._all():
            trio.from_thread.run_sync(
                subscriber.stream.abort, "cut by the test", trio_token=self._token
            )

    def end(self) -> None:
        assert self._end is not None
        trio.from_thread.run_sync(self._end.set, trio_token=self._token)


@contextmanager
def served() -> Iterator[Served]:
    stage = Served()
    thread = threading.Thread(target=stage.run, daemon=True)
    thread.start()
    stage.wait()
    try:
        yield stage
    finally:
        stage.end()
        thread.join(30)
        assert not thread.is_alive()


def act(stage: Served, message: object, seen: list[str], score: int) -> int:
    """Have the stage go on, now and then with a cut, for the next message; the score it told."""
    seen.append(type(message).__name__)
    if isinstance(message, Snapshot | Batch):
        score += 1
        if score % 5 == 0:
            stage.cut()
        stage.tick(make_game(0, score))
    return score


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_it_resumes_without_a_gap_on_either_loop(backend: str) -> None:
    async def through(stage: Served) -> tuple[list[str], dict[str, int]]:
        seen: list[str] = []
        score = 0
        with anyio.fail_after(60):
            async with connect(stage.url) as feed:
                async for message in feed:
                    if isinstance(message, Dropped):
                        assert "a gap" not in message.reason
                    score = await anyio.to_thread.run_sync(act, stage, message, seen, score)
                    if score == 30:
                        return seen, {g: game.home.score for g, game in feed.games.items()}
        raise AssertionError("the stream ended")

    with served() as stage:
        stage.tick(make_game(0), make_game(1))
        seen, scores = anyio.run(through, stage, backend=backend)
    assert seen.count("Snapshot") == 1
    assert seen.count("Dropped") == 5
    assert scores == {"0022500000": 29, "0022500001": 0}


def test_it_is_followed_without_a_loop() -> None:
    seen: list[str] = []
    score = 0
    with served() as stage:
        stage.tick(make_game(0), make_game(1))
        night = follow(stage.url)
        for message in night:
            score = act(stage, message, seen, score)
            if score == 30:
                break
        assert seen.count("Snapshot") == 1
        assert seen.count("Dropped") == 5
        assert night.games["0022500000"].home.score == 29

        # Where a loop runs already, as in a notebook.
        async def in_a_notebook() -> list[str]:
            return [type(message).__name__ for message in follow(stage.url, seconds=0.5)]

        assert anyio.run(in_a_notebook)[:2] == ["Welcome", "Snapshot"]
    with pytest.raises(DroppedError, match="cannot connect"):
        list(follow("ws://127.0.0.1:1/v1/stream"))


def told(number: int, home: int, period: int, clock_s: float) -> Game:
    game = json.loads(wire.encode_game(make_game(number, home)))
    return Game.model_validate(game | {"period": period, "clock_s": clock_s})


def test_frames_of_games_and_series() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    whole = told(0, 10, 1, 700.0).model_copy(update={"series": ((0, 0.5, -9, 0, 9, 210),)})
    view = View(filtered=False)
    view.take(Snapshot(type="snapshot", epoch="e", seq=1, games=(whole, told(1, 3, 5, 300.0))))
    timing: Any = dict.fromkeys(("poll", "parse", "pattern", "predict", "emit", "total"), 1.0)
    for seq, left in ((2, 690.0), (3, 695.0)):  # the second takes back
        batch = Batch(type="batch", epoch="e", seq=seq, tick=seq, timing_ms=timing,
                      messages=(told(0, 12, 1, left),))  # fmt: skip
        view.take(batch)
    games, series = view.to_frame(), view.to_frame("series")
    assert games.home_score.tolist() == [12, 3]
    assert games.margin_p50.tolist() == [1.23, 1.23]
    assert series[series.game_id == "0022500000"].elapsed_s.tolist() == [0, 20, 25]
    assert series[series.game_id == "0022500001"].elapsed_s.tolist() == [2880]
    assert isinstance(games, pandas.DataFrame)
    assert view.to_polars().shape == games.shape
    assert isinstance(view.to_polars(), polars.DataFrame)
    assert view.to_polars("series").rows() == list(map(tuple, series.itertuples(index=False)))


@pytest.mark.parametrize("period", range(1, 8))
def test_its_game_clock_is_the_daemons(period: int) -> None:
    for left in (0.0, 12.5, 300.0):
        assert elapsed_s(period, left) == clock.elapsed_s(period, left)
