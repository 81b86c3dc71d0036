"""The messages and frames, byte by byte."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_kit import make_game
from wsproto.frame_protocol import FrameProtocol, Opcode

from nbad.domain import Play
from nbad.stream import wire
from nbad.stream.frames import close_frame, is_close, ping_frame, text_frame

PLAY = Play(
    7, 70000, 2, 431.25, 30, 28, "2pt", "Layup", 3, 3, "Ø. Layup", "2026-01-20T00:59:01.5Z", ""
)


def test_game_message_stands_alone() -> None:
    game = orjson.loads(wire.encode_game(make_game(1, 30, 28, [PLAY])))
    assert game == {
        "game_id": "0022500001",
        "status": "live",
        "period": 2,
        "clock_s": 431.25,
        "start_utc": "2026-01-20T00:30:00Z",
        "home": {"team_id": 3, "tricode": "CHI", "name": "Home", "score": 30},
        "away": {"team_id": 4, "tricode": "DAL", "name": "Away", "score": 28},
        "differential": 2,
        "pattern": [0, 2, 1],
        "forecast": {
            "home_win": 0.12346,
            "margin": {"p10": -9.88, "p50": 1.23, "p90": 11.0},
            "total": {"p10": 201.0, "p50": 215.56, "p90": 230.1},
            "model": "m1",
            "basis": "rating",
        },
        "event": {
            "number": 7,
            "period": 2,
            "clock_s": 431.25,
            "kind": "2pt",
            "subkind": "Layup",
            "team_id": 3,
            "person_id": 0,
            "player": None,
            "description": "Ø. Layup",
            "home": 30,
            "away": 28,
            "time": "2026-01-20T00:59:01.5Z",
        },
        "corrected": False,
        "source_time": "2026-01-20T00:59:01.5Z",
        "received_at": "2026-01-20T00:59:01.250000Z",
    }


def test_snapshot_holds_games_whole() -> None:
    game = make_game(1)
    whole = wire.with_series(wire.encode_game(game), wire.encode_series(game.series))
    snapshot = orjson.loads(wire.encode_snapshot("e", 3, [whole], "ok", 0.5))
    assert snapshot["games"][0]["series"] == [
        [0, 0.12346, -9.88, 1.23, 11.0, 215.56],
        [30, 0.12346, -9.88, 1.23, 11.0, 215.56],
    ]
    del snapshot["games"][0]["series"]
    assert snapshot["games"][0] == orjson.loads(wire.encode_game(game))


def test_batch_counts_what_it_joins() -> None:
    body = wire.encode_game(make_game(1))
    timing = {"poll": 1.0, "emit": 0.1}
    batch = orjson.loads(wire.encode_batch("e", 3, 9, [body], timing))
    assert list(batch) == ["type", "epoch", "seq", "tick", "messages", "timing_ms"]
    assert orjson.loads(wire.encode_batch("e", 3, 9, [body], timing, 4))["conflated"] == 4


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 200_000])
def test_frames_are_whole_text_messages(size: int) -> None:
    payload = b"x" * size
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(text_frame(payload))
    frames = list(client.received_frames())
    assert b"".join(str(frame.payload).encode() for frame in frames) == payload
    assert frames[0].opcode is Opcode.TEXT
    assert frames[-1].message_finished


def test_only_a_close_is_a_close() -> None:
    assert is_close(close_frame(1001, "x" * 500))
    assert not is_close(ping_frame())
    assert not is_close(text_frame(b"{}"))


def test_the_plays_that_scored_are_told_and_no_others() -> None:
    plays = [
        PLAY._replace(home=0, away=0),
        PLAY._replace(home=0, away=2, description="Dunk"),
        PLAY,
        PLAY._replace(clock_s=430.5, description="Foul"),
    ]
    scoring = orjson.loads(wire.encode_scoring(plays))
    assert scoring == [[1008.75, 0, 2, "Dunk"], [1008.75, 30, 28, "Ø. Layup"]]
    whole = orjson.loads(wire.with_scoring(b'{"series":[]}', wire.encode_scoring([])))
    assert whole == {"series": [], "scoring": []}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_is_what_wsproto_makes_of_the_text(size: int) -> None:
    payload = ("é" * size).encode()[: size - size % 2] + b"x" * (size % 2)
    assert len(payload) == size
    encoder = FrameProtocol(client=False, extensions=[])
    assert text_frame(payload) == bytes(encoder.send_data(payload.decode()))


@given(st.floats(-6e10, 2.5e11) | st.integers(0, 2 * 10**15).map(lambda micros: micros / 1e6))
def test_a_moment_is_written_as_datetime_writes_it(seconds: float) -> None:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    assert wire.rfc3339(seconds) == moment.replace("+00:00", "Z")
