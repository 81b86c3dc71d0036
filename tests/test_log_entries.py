"""The log's entries: what is encoded is read again, and a stranger's entry is refused by name."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_kit import make_game

from nbad.domain import FeedState, Play
from nbad.publish.entries import (
    BadEntryError,
    BatchEntry,
    HeartbeatEntry,
    More,
    SnapshotEntry,
    Tail,
    decode,
    encode,
)
from nbad.stream import wire
from nbad.stream.batch import Message

TIMING = {"poll": 1.0, "parse": 0.5, "total": 12.25}


def read(fields: dict[str, bytes]) -> BatchEntry | SnapshotEntry | HeartbeatEntry:
    return decode({name.encode(): value for name, value in fields.items()})


def message(number: int, score: int = 0) -> Message:
    game = make_game(number, score)
    entry = game.update.entry
    body = wire.encode_game(game)
    return Message(entry.game_id, entry.home.tricode, entry.away.tricode, body)


def test_a_batch_comes_back_with_the_bytes_of_each_game() -> None:
    games = (message(0, 7), message(3))
    body = wire.encode_batch("e", 5, 9, (game.body for game in games), TIMING)
    more = {games[0].game_id: More(Tail(3, [[30, 0.5, -1.0, 2, 3, 210.5]]))}
    assert read(encode(7, body, more)) == BatchEntry(7, "e", 5, 9, games, TIMING, body, more)


def test_a_snapshot_comes_back_as_messages_and_the_rows_of_each_game() -> None:
    play = Play(4, 4, 2, 431.0, 2, 0, "2pt", "layup", 1, 1, 'a "quoted", one: ,"series":[', "", "")
    games = [make_game(0, 2, plays=[play]), make_game(1)]
    messages = (message(0, 2), message(1))
    messages = (messages[0]._replace(body=wire.encode_game(games[0])), messages[1])
    whole = [
        wire.with_series(each.body, wire.encode_series(game.series))
        for each, game in zip(messages, games, strict=True)
    ]
    scoring = wire.scoring_rows(games[0].update.plays)
    body = wire.encode_snapshot("e", 5, whole, "ok", 0.5)
    entry = read(encode(8, body, {messages[0].game_id: More(scoring=Tail(0, scoring))}))
    assert isinstance(entry, SnapshotEntry)
    assert (entry.fence, entry.epoch, entry.seq, entry.messages) == (8, "e", 5, messages)
    told = entry.more[messages[0].game_id]
    assert told.series
    assert told.scoring
    # Not only equal: a whole number stays without its point.
    assert orjson.dumps(told.series.rows) == wire.encode_series(games[0].series)
    assert orjson.dumps(told.scoring.rows) == wire.encode_scoring(games[0].update.plays)
    assert entry.more[messages[1].game_id].scoring == Tail(0, [])


def test_a_heartbeat_comes_back() -> None:
    body = wire.encode_heartbeat("e", 5, FeedState.STALE, 120.5)
    assert read(encode(1, body)) == HeartbeatEntry(1, "e", 5, FeedState.STALE, 120.5)


scores = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 150), st.text()), max_size=6)


@given(scores)
def test_messages_are_cut_out_as_they_were_put_in(games: list[tuple[int, int, str]]) -> None:
    bodies = []
    for number, score, text in games:
        play = Play(4, 4, 2, 431.0, score, 0, "2pt", "layup", 1, 1, text, "", "")
        bodies.append(wire.encode_game(make_game(number, score, plays=[play])))
    assert wire.split_batch(wire.encode_batch("e", 1, 1, bodies, TIMING)) == bodies
    whole = [wire.with_series(body, b"[[30,0.5]]") for body in bodies]
    pieces = wire.split_snapshot(wire.encode_snapshot("e", 1, whole, "ok", 0.5))
    assert pieces == whole
    assert [wire.without_series(piece) for piece in pieces] == bodies


BATCH = wire.encode_batch("e", 1, 1, [message(0).body], TIMING)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "fence: expected a number"),
        ({"fence": b"-1", "body": BATCH}, "fence: expected a number"),
        ({"fence": b"9" * 20, "body": BATCH}, "fence: expected a number"),
        ({"fence": b"1"}, "body: expected 1 to"),
        ({"fence": b"1", "body": b"[]"}, "object"),
        ({"fence": b"1", "body": b'{"type":"welcome"}'}, "'batch', 'snapshot', 'heartbeat'"),
        ({"fence": b"1", "body": BATCH.replace(b'"seq":1', b'"seq":0')}, "batch.seq"),
        ({"fence": b"1", "body": BATCH.replace(b'"epoch":"e"', b'"epoch":"e.1"')}, "batch.epoch"),
        ({"fence": b"1", "body": BATCH.replace(b'"ATL"', b"7")}, "messages.0.home.tricode"),
        ({"fence": b"1", "body": BATCH.replace(b'{"game_id"', b'{ "game_id"')}, "the game 00225"),
        (
            {"fence": b"1", "body": BATCH.replace(b'"messages":[{', b'"messages":[{"x":0,')},
            "the game",
        ),
        ({"fence": b"1", "body": BATCH[:-9]}, "Invalid JSON"),
        ({"fence": b"1", "body": b"\xff"}, "Invalid JSON"),
        ({"fence": b"1", "body": BATCH, "more": b'{"g":{"series":[-1,[]]}}'}, "series.0"),
        ({"fence": b"1", "body": BATCH, "more": b'{"g":{"series":[1,[["x"]]]}}'}, "series.1.0"),
        ({"fence": b"1", "body": BATCH, "pad": bytes(33 << 20)}, "at most 33554432 bytes"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused(fields: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(BadEntryError, match=complaint):
        read(fields)


def test_a_tail_goes_on_from_what_is_known_and_not_from_less() -> None:
    assert Tail(1, [[3]]).after([[1], [2]]) == [[1], [3]]
    with pytest.raises(BadEntryError, match="expected 3 rows to be known, were 2"):
        Tail(3, []).after([[1], [2]])
