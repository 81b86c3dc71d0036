"""What the daemon remembers: written whole, read whole or not at all, and the same forecasts."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from daemon_kit import ANY_PORTS, Daemon, get, serving
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from laws_kit import examples
from structlog.testing import capture_logs
from test_pattern_rating import league
from test_ratings_tracker import STAR

from nbad.cli import main
from nbad.model.forecaster import Forecaster
from nbad.pattern.knowledge import Knowledge
from nbad.pattern.market import Line
from nbad.pattern.players import AVERAGE, GameLines
from nbad.pattern.quotes import Quote, Quotes
from nbad.pattern.rating import Ratings
from nbad.pattern.tracker import PlayedGame, RatingsTracker
from nbad.settings.current import Runtime, Settings
from nbad.settings.schema import Config, State
from nbad.state.format import StateError, decode, encode
from nbad.state.keeper import FILE, Keeper, read_knowledge, state_folder, write
from nbad.web.openapi import DOCUMENT

QUOTES = {"0022500001": Quote(Line(-6.5, None, 0.25), 1_760_000_000.5)}


def known(count: int) -> Knowledge:
    games = [PlayedGame(one, STAR if n % 2 else None) for n, one in enumerate(league(count))]
    return Knowledge(RatingsTracker(games=games), Quotes(QUOTES))


def content(knowledge: Knowledge) -> bytes:
    return encode(knowledge.ratings.games, knowledge.quotes.used)


def test_what_was_known_is_known_to_the_last_bit() -> None:
    before = known(60)
    after = decode(content(before))
    assert after.ratings.games == before.ratings.games
    assert after.quotes.used == QUOTES
    assert after.ratings.newest().to_json() == before.ratings.newest().to_json()
    later = "2025-12-30T00:00:00Z"
    assert after.ratings.expect(1, 2, later) == before.ratings.expect(1, 2, later)
    assert content(after) == content(before)


@pytest.mark.parametrize("lines", [
    GameLines(lines=dict.fromkeys(range(1, 102), (1, AVERAGE))),
    GameLines(lines={1: (1, (1001.0, *AVERAGE[1:]))}),
])  # fmt: skip
def test_a_feed_whose_plays_name_a_crowd_does_not_spoil_the_file(lines: GameLines) -> None:
    before = known(10)
    assert before.ratings.learn(PlayedGame(league(11)[10], lines))
    after = decode(content(before))
    assert after.ratings.games == before.ratings.games
    assert len(after.ratings.games) == 11


@examples(60)
@given(st.data())
def test_a_file_that_is_cut_or_changed_is_refused(data: st.DataObject) -> None:
    whole = content(known(5))
    if data.draw(st.booleans()):
        spoilt = whole[: data.draw(st.integers(0, len(whole) - 2))]
    else:
        at = data.draw(st.integers(0, len(whole) - 2))
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
        spoilt = whole[:at] + bytes([other]) + whole[at + 1 :]
    with pytest.raises(StateError):
        decode(spoilt)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("games", [{"result": ["0022500001", "2025-11-01T00:00:00Z", 1, 2, 110, -1]}]),
        ("games", [{"result": ["1", "2025-11-01T00:00:00Z", 1, 2, 110, 100]}]),
        ("games", [{"result": ["0022500001", "2025-11-01T00:00:00Z", 1, 2, 110, 100],
                    "players": [[1, 1, [1.0]]]}]),
        ("games", [{}]),
        ("games", {}),
        ("odds", {"0022500001": {"margin": 1e300, "total": None, "doubt": 0.0, "heard": 1.0}}),
        ("odds", {"x": {"margin": 1.0, "total": None, "doubt": 0.0, "heard": 1.0}}),
        ("more", 1),
    ],
)  # fmt: skip
def test_a_whole_file_of_absurd_values_is_refused(part: str, value: Any) -> None:
    body = json.dumps({"games": [], "odds": {}} | {part: value}).encode()
    head = {"nbad_state": 1, "bytes": len(body), "sha256": sha256(body).hexdigest()}
    with pytest.raises(StateError):
        decode(json.dumps(head).encode() + b"\n" + body + b"\n")


def test_where_it_is_kept(tmp_path: Path) -> None:
    assert state_folder(State(), {}) is None
    systemd = {"STATE_DIRECTORY": "/var/lib/nbad:/var/lib/x"}
    assert state_folder(State(), systemd) == Path("/var/lib/nbad")
    assert state_folder(State(path=tmp_path), systemd) == tmp_path


def test_a_container_keeps_it_in_its_volume() -> None:
    recipe = (Path(__file__).parent.parent / "Containerfile").read_text()
    [volume] = re.findall(r"(?m)^VOLUME (\S+)$", recipe)
    environ = dict(re.findall(r"(\w+)=(\S+)", recipe))
    assert state_folder(State(), environ) == Path(volume)


async def test_what_is_learnt_is_written_and_a_disk_that_fails_is_lived_with(
    tmp_path: Path,
) -> None:
    knowledge = known(10)
    folder = tmp_path / "state"
    config = Config(state=State(path=folder))
    keeper = Keeper(knowledge, Settings(Runtime(config, Forecaster.load())), {})
    folder.write_text("a file is where the folder should be")
    await keeper.keep()
    assert folder.is_file()
    folder.unlink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        keeper.wake()
        while not (folder / FILE).exists():  # noqa: ASYNC110 - another thread makes it
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    await keeper.keep()
    assert (folder / FILE).read_bytes() == content(knowledge)
    # Nothing learnt, nothing written.
    (folder / FILE).unlink()
    await keeper.keep()
    assert not (folder / FILE).exists()
    assert knowledge.ratings.learn(PlayedGame(league(11)[10], STAR))
    await keeper.keep()
    again = read_knowledge(folder, Ratings())
    assert again.ratings.games == knowledge.ratings.games
    assert [file.name for file in folder.iterdir()] == [FILE]


async def test_one_write_waits_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one, at the end, for the one that is under way: they share a file."""
    knowledge, go, at_once = known(10), threading.Event(), set[int]()

    def held(*arguments: Any) -> None:
        at_once.add(threading.get_ident())
        go.wait(10)
        clashes.append(len(at_once) > 1)
        write(*arguments)
        at_once.discard(threading.get_ident())

    clashes: list[bool] = []
    monkeypatch.setattr("nbad.state.keeper.write", held)
    config = Config(state=State(path=tmp_path))
    keeper = Keeper(knowledge, Settings(Runtime(config, Forecaster.load())), {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.keep)
        await trio.testing.wait_all_tasks_blocked()
        assert knowledge.ratings.learn(PlayedGame(league(11)[10], STAR))
        nursery.start_soon(keeper.keep)
        await trio.testing.wait_all_tasks_blocked(0.05)
        go.set()
    assert clashes == [False, False]
    assert (tmp_path / FILE).read_bytes() == content(knowledge)


def test_two_daemons_with_one_state_directory_each_write_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = known(10), known(12)
    begun = list[threading.Thread]()

    def fsync(descriptor: int) -> None:
        if not begun:  # the file is written, and not yet in its place
            begun.append(
                threading.Thread(target=write, args=(tmp_path, other.ratings.games, QUOTES))
            )
            begun[0].start()
            begun[0].join(0.2)

    monkeypatch.setattr("nbad.state.keeper.os.fsync", fsync)
    write(tmp_path, one.ratings.games, QUOTES)
    begun[0].join()
    assert (tmp_path / FILE).read_bytes() == content(other)


def test_a_garbled_file_is_put_aside_and_the_model_knows_what_it_knew(tmp_path: Path) -> None:
    model = Forecaster.load().ratings
    (tmp_path / FILE).write_bytes(content(known(20))[:-9])
    knowledge = read_knowledge(tmp_path, model)
    assert knowledge.ratings.newest().to_json() == model.to_json()
    assert [file.name for file in tmp_path.iterdir()] == [f"{FILE}.unreadable"]


def to_come(http: str) -> dict[str, Any]:
    """The forecasts of the games that have not begun."""
    games = json.loads(get(f"{http}/v1/games")[1])["games"]
    return {game["game_id"]: game["forecast"] for game in games if game["status"] == "scheduled"}


def the_table_is_told_as_described(
    http: str, told: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """By OpenAPI, with an ETag, and by `nbad ratings URL`."""
    answer = DOCUMENT["paths"]["/v1/ratings"]["get"]["responses"]["200"]
    Draft202012Validator(answer["content"]["application/json"]["schema"]).validate(told)
    assert [team["rank"] for team in told["teams"]] == list(range(1, 31))
    tag = httpx.get(f"{http}/v1/ratings").headers["etag"]
    again = httpx.get(f"{http}/v1/ratings", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    capsys.readouterr()
    assert main(["ratings", http, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.slow
def test_a_restart_in_december_forecasts_as_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed by kill -9, and started again where the schedule is gone: the same ratings, to the
    last digit told; a file that was garbled meanwhile is said, and costs what it held."""
    state = tmp_path / "state"
    # At the pace of a real night: books move their prices every half hour.
    with serving("--games", "6", "--seed", "3", "--speed", "1") as (board, schedule):
        extra = f'{ANY_PORTS}[state]\npath = "{state}"\n'
        daemon = Daemon(tmp_path / "daemon", board, schedule, server=extra)
        daemon.wait_for("ready")
        http = f"http://127.0.0.1:{daemon.port('http')}"
        give_up = time.monotonic() + 60
        # The schedule is read beside the ticks, and written once it is learnt.
        while True:
            told = json.loads(get(f"{http}/v1/ratings")[1])
            kept = read_knowledge(state, Ratings())
            whole = told["learnt"] > 300 and len(kept.ratings.games) == told["learnt"]
            whole = whole and to_come(http).keys() <= kept.quotes.used.keys()
            # Not the schedule's results alone: also who played in a game whose plays were seen.
            if whole and any(game.lines is not None for game in kept.ratings.games):
                break
            assert time.monotonic() < give_up, told["learnt"]
            daemon.pause()
        before = to_come(http)
        assert before
        the_table_is_told_as_described(http, told, capsys)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(60)

        daemon.config.write_text(daemon.text.replace(schedule, f"{schedule}.gone"))
        daemon.start()
        assert daemon.wait_for("state_read")["games"] == told["learnt"]
        daemon.wait_for("ready")
        daemon.wait_for("schedule_unavailable")
        http = f"http://127.0.0.1:{daemon.port('http')}"
        assert json.loads(get(f"{http}/v1/ratings")[1]) == told
        assert to_come(http) == before
        assert daemon.end() == 0

        file = state / FILE
        file.write_bytes(file.read_bytes()[:-100])
        daemon.start()
        assert "cut or changed" in daemon.wait_for("state_unreadable")["reason"]
        daemon.wait_for("ready")
        http = f"http://127.0.0.1:{daemon.port('http')}"
        assert json.loads(get(f"{http}/v1/ratings")[1])["learnt"] < 10
        assert to_come(http) != before
        assert daemon.end() == 0


def test_a_file_that_cannot_be_read_is_put_aside_before_another_takes_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE).mkdir()  # as one whose rights or whose disk forbid it
    assert not read_knowledge(tmp_path, Ratings()).ratings.games
    assert [file.name for file in tmp_path.iterdir()] == [f"{FILE}.unreadable"]


async def test_a_folder_that_cannot_be_looked_into_is_lived_with() -> None:
    settings = Settings(Runtime(Config(), Forecaster.load()))
    closed = {"STATE_DIRECTORY": "/" + "x" * 300}  # as one that is closed to us, also for root
    read_knowledge(state_folder(State(), closed), Ratings())
    with capture_logs() as logs:
        await Keeper(known(1), settings, closed).keep()
    assert [event["event"] for event in logs] == ["state_unwritable"]
