"""How fresh the news is: measured from when it happened, and absurd dates left out."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import orjson
import pytest
import trio
from feed_kit import ONE, action, entry, plays_of
from prometheus_client.parser import text_string_to_metric_families
from stream_kit import FakeSettings

from nbad.feed.times import stamp_of
from nbad.model.forecaster import Forecaster
from nbad.observe.freshness import waits_s
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.stages.envelopes import Document, Fetched
from nbad.stages.parser import GameTracker
from nbad.stages.server import open_hub
from nbad.web.status import Live

NOW = datetime(2026, 1, 15, 2, 30, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(Config(), Forecaster.load())


def test_what_cannot_be_is_not_counted(runtime: Runtime) -> None:
    tick = Tick(1, 0.0, runtime)
    tick.happened = [NOW - 0.8, NOW - 599, NOW + 1.5, NOW + 30, NOW - 601, NOW - 1e9]
    assert waits_s(tick, NOW) == pytest.approx([0.8, 599, 0.0])
    tick.clocks_agree = False
    assert waits_s(tick, NOW) == []


class Feed:
    """Ticks of one game, and when what each told anew had happened."""

    def __init__(self, runtime: Runtime) -> None:
        self.tracker, self.runtime, self.now = GameTracker(), runtime, 0.0

    def says(
        self,
        *actions: object,
        score: tuple[int, int] | None = None,
        clock: str = "PT12M00.00S",
        modified: float | None = None,
    ) -> list[float]:
        self.now += 1.0
        documents = []
        if score is not None:
            listed = entry(ONE, clock=clock, score=score)
            board = orjson.dumps({"scoreboard": {"games": [listed]}})
            documents.append(Document("", board, NOW, modified))
        if actions:
            documents.append(Document(ONE, plays_of(ONE, list(actions)), NOW, modified))
        tick = Tick(1, self.now, self.runtime)
        self.tracker.take(Fetched(tick, self.now, NOW, tuple(documents)))
        return tick.happened


def at(number: int, home: int, moment: float, **more: object) -> object:
    return action(number, home, 0) | {"timeActual": stamp_of(moment)} | more


def test_the_newest_play_or_the_boards_change_is_the_news(runtime: Runtime) -> None:
    feed = Feed(runtime)
    one, two = at(1, 2, NOW - 9), at(2, 4, NOW - 3)
    assert feed.says(one, score=(0, 0)) == []  # what is told first is as old as the game
    assert feed.says(one, at(3, 4, NOW - 5), two) == [NOW - 3]
    assert feed.says(one, at(3, 4, NOW - 5), two) == []
    # The board is ahead: when it changed is what is known.
    assert feed.says(score=(6, 0), clock="PT09M00.00S", modified=NOW - 1) == [NOW - 1]
    # Another score for an old play is a correction.
    edited = at(1, 3, NOW - 9, edited=stamp_of(NOW))
    assert feed.says(edited, at(3, 6, NOW - 5), at(2, 7, NOW - 3)) == []


def test_a_date_that_is_none_is_no_news(runtime: Runtime) -> None:
    feed = Feed(runtime)
    feed.says(at(1, 2, NOW - 9), score=(0, 0))
    broken = at(2, 4, NOW, timeActual="2026-02-31T00:00:00.0Z")
    assert feed.says(at(1, 2, NOW - 9), broken) == []
    assert feed.tracker.tracked()[0].lead == 4


async def test_what_was_served_is_in_the_metrics_and_in_the_statistics(runtime: Runtime) -> None:
    live = Live(open_hub(FakeSettings(Config())), Statistics(), Metrics())
    tick = Tick(1, trio.current_time(), runtime)
    tick.happened = [time.time() - 1.2, time.time() - 1e6]
    live.served(tick)
    text = live.metrics.text().decode()
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["nbad_freshness_seconds_count", None] == 1
    assert samples["nbad_freshness_seconds_bucket", "1.0"] == 0
    assert samples["nbad_freshness_seconds_bucket", "60.0"] == 1
    life = live.statistics.freshness.as_dict(trio.current_time())["life"]
    assert life["count"] == 1
    assert life["min"] >= 1200
