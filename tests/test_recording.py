"""A recording: byte for byte, cut by kills, rotated by night, and the same when played again."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
import trio
import trio.testing
from daemon_kit import Daemon, follow, serving
from process_kit import start

from nbad.channels import open_bounded, open_latest, open_latest_value
from nbad.feed.client import Arrival
from nbad.feed.poll_plan import TrackedGame
from nbad.model.forecaster import Forecaster
from nbad.recording.format import Recording, Writer
from nbad.recording.nights import night_of
from nbad.recording.recorder import Recorder
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, Feed, Poll
from nbad.simulator import simulate_night
from nbad.simulator.answer import Gzip, answer
from nbad.simulator.recorded import RecordedSource
from nbad.stages.envelopes import Forecasts, Patterns, Updates, merge_fetched
from nbad.stages.parser import parse
from nbad.stages.patterns import build_patterns
from nbad.stages.poller import poll
from nbad.stages.predictor import predict
from nbad.stream.wire import encode_game, encode_series

EVENING = 1_795_471_200.0  # 2026-11-23T22:00Z, before a night's end at noon in New York


def arrivals(count: int, start: float = EVENING, step: float = 1.0) -> list[Arrival]:
    return [
        Arrival(
            f"http://feed/playbyplay_{n}.json",
            200,
            {"etag": f'"{n}"', "last-modified": "Mon, 23 Nov 2026 22:00:00 GMT"},
            b'{"n": %d, "text": "line\nbreak \xc3\xa9"}' % n,
            start + n * step,
        )
        for n in range(count)
    ]


def read(folder: Path) -> list[tuple[float, str, bytes]]:
    recording = Recording(folder)
    return [(e.received_at, e.url, recording.body(e)) for e in recording.entries]


def told(given: list[Arrival]) -> list[tuple[float, str, bytes]]:
    return [(a.received_at, a.url, a.body) for a in given]


def test_what_is_written_is_read_byte_for_byte_with_or_without_an_index(tmp_path: Path) -> None:
    given, writer = arrivals(20), Writer(tmp_path)
    for first in range(0, 20, 5):
        writer.write(given[first : first + 5])
    assert read(tmp_path) == told(given)
    (index,) = tmp_path.glob("*.idx")
    index.write_bytes(index.read_bytes()[:-30])  # its last line cut
    assert read(tmp_path) == told(given)
    index.unlink()
    assert read(tmp_path) == told(given)


def test_a_kill_at_any_byte_loses_the_last_member_at_most(tmp_path: Path) -> None:
    given, writer = arrivals(9), Writer(tmp_path)
    for first in (0, 3):
        writer.write(given[first : first + 3])
    (file,) = tmp_path.glob("*.rec")
    whole = file.stat().st_size
    writer.write(given[6:])
    content = file.read_bytes()
    (index,) = tmp_path.glob("*.idx")
    for cut in range(whole, len(content)):
        file.write_bytes(content[:cut])
        assert read(tmp_path) == told(given[:6])
    index.unlink()
    for cut in range(whole, len(content)):
        file.write_bytes(content[:cut])
        assert read(tmp_path) == told(given[:6])


def test_a_night_has_its_own_file_and_so_has_each_start(tmp_path: Path) -> None:
    given = arrivals(4, step=12 * 3600.0)
    assert len({night_of(a.received_at) for a in given}) == 2
    Writer(tmp_path).write(given)
    assert len(list(tmp_path.glob("*.rec"))) == 2
    more = arrivals(2, start=EVENING + 50.0)
    Writer(tmp_path).write(more)
    assert len(list(tmp_path.glob("*.rec"))) == 3
    assert sorted(read(tmp_path)) == sorted(told(given + more))


def test_a_folder_without_a_recording_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a recording"):
        Recording(tmp_path)


class Replay(httpx.AsyncBaseTransport):
    """The feed server's answers at Trio's time, without a socket."""

    def __init__(self, night: Any) -> None:
        self.night = night
        self.origin = trio.current_time()
        self.gzip = Gzip()

    def now(self) -> float:
        return float(self.night.starts_at) + trio.current_time() - self.origin

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        reply = answer(
            self.night,
            "GET",
            request.url.path,
            dict(request.headers),
            self.now(),
            self.gzip,
            None,
        )
        return httpx.Response(reply.status, headers=list(reply.headers), content=reply.body)


def record_night(folder: Path) -> dict[str, tuple[int, int]]:
    """A simulated night of two games, as a poll every minute and a half would have kept it."""
    night = simulate_night(2, 4)
    writer = Writer(folder)
    seen: dict[str, str] = {}
    t = night.starts_at
    base = "http://feed/static/json"

    def changed() -> Iterator[Arrival]:
        paths = {f"{base}/liveData/scoreboard/todaysScoreboard_00.json": night.scoreboard(t)}
        paths[f"{base}/staticData/scheduleLeagueV2.json"] = night.schedule(t)
        for game_id in night.game_ids:
            plays = night.play_by_play(game_id, t)
            if plays:
                paths[f"{base}/liveData/playbyplay/playbyplay_{game_id}.json"] = plays
        for url, resource in paths.items():
            if seen.get(url) != resource.tag:
                seen[url] = resource.tag
                yield Arrival(url, 200, {}, resource.body, t)

    while t < night.ends_at + 180:
        writer.write(list(changed()))
        t += 90.0
    return night.finals


async def play(recording: Path) -> list[bytes]:
    """Every batch of the whole pipeline on a replay, without its wall-clock times."""
    night = RecordedSource(Recording(recording))
    base = "http://feed/static/json"
    config = Config(
        feed=Feed(
            base_url=f"{base}/liveData", schedule_url=f"{base}/staticData/scheduleLeagueV2.json"
        ),
        poll=Poll(live_interval_s=10.0),  # some nine polls between two payloads that were kept
    )
    settings = Settings(Runtime(config, Forecaster.load()))
    to_parse, fetched = open_latest(merge_fetched)
    to_poll, followed = open_latest_value(cast(tuple[TrackedGame, ...], ()))
    to_build, updates = open_bounded(1, Updates)
    to_predict, patterns = open_bounded(1, Patterns)
    to_serve, forecasts = open_bounded(1, Forecasts)
    transport = Replay(night)
    batches = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(predict, patterns, to_serve)
        nursery.start_soon(build_patterns, updates, to_predict)
        nursery.start_soon(parse, fetched, to_build, to_poll)
        nursery.start_soon(
            partial(poll, to_parse, followed, settings, transport=transport, now=transport.now)
        )
        async for tick in forecasts:
            for game in tick.games:
                message = orjson.loads(encode_game(game))
                del message["received_at"]
                batches.append(orjson.dumps(message))
                batches.append(encode_series(game.series))
            if transport.now() > night.ends_at + 60:
                nursery.cancel_scope.cancel()
    return batches


@pytest.mark.slow
async def test_a_replay_gives_the_same_batches_twice(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process would take its own time beside Trio's clock.
    monkeypatch.setattr("nbad.feed.schedule._INLINE_BYTES", 10**9)
    # Two documents of one moment are one tick or two, as Trio's dice have it: the same both times.
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr("trio._core._run._r", dice := random.Random(1))
    finals = record_night(tmp_path)
    first = await play(tmp_path)
    dice.seed(1)
    assert first == await play(tmp_path)
    assert len(first) > 60
    last = {}
    for batch in first[::2]:
        game = orjson.loads(batch)
        last[game["game_id"]] = (game["home"]["score"], game["away"]["score"])
    assert last == finals


async def test_a_disk_that_fails_does_not_stop_the_pipeline(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.write_text("a file where a folder should be")
    record = Config().record.model_copy(update={"path": folder})
    runtime = Runtime(Config().model_copy(update={"record": record}), Forecaster.load())
    recorder = Recorder(Settings(runtime))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for arrival in arrivals(3):
            recorder.put(arrival)
        await recorder.finish()
        folder.unlink()
        recorder.put(arrivals(1)[0])
        await recorder.finish()
        nursery.cancel_scope.cancel()
    assert len(read(folder)) == 1


@pytest.mark.slow
def test_the_daemon_records_and_the_feed_serves_it_again(tmp_path: Path) -> None:
    finals = simulate_night(2, 2).finals
    kept = tmp_path / "kept"
    with serving("--games", "2", "--seed", "2", "--speed", "1500") as urls:
        daemon = Daemon(tmp_path / "one", *urls)
        daemon.end()
        daemon.config.write_text(f'{daemon.text}[record]\npath = "{kept}"\n')
        daemon.start()
        with daemon.stream() as stream:
            follow(stream, finals)
        assert daemon.end() == 0
    with serving("--recording", str(kept), "--speed", "20") as urls:
        again = Daemon(tmp_path / "two", *urls)
        with again.stream() as stream:
            follow(stream, finals)
        assert again.end() == 0


@pytest.mark.slow
def test_record_is_killed_and_what_it_kept_is_whole(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "600") as urls:
        config = tmp_path / "nbad.toml"
        config.write_text(
            f'[feed]\nbase_url = "{urls[0]}"\nschedule_url = "{urls[1]}"\n'
            "[poll]\nlive_interval_s = 0.1\nidle_interval_s = 0.2\n"
        )
        command = [sys.executable, "-m", "nbad", "record", "--config", str(config)]
        kept = tmp_path / "kept"
        recorder = start([*command, "--out", str(kept)], stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + 60
        # Some members are whole; what the kill cuts is the next.
        while sum(file.read_bytes().count(b"\n") for file in kept.glob("*.idx")) < 3:
            assert time.monotonic() < give_up
            signal.sigtimedwait([], 0.02)
        recorder.kill()
        recorder.wait()
    recording = Recording(kept)
    assert all(orjson.loads(recording.body(entry)) for entry in recording.entries)
    assert not math.isnan(RecordedSource(recording).starts_at)
