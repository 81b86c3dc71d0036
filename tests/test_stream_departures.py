"""What a subscriber is owed after a game left, and after long silence of the games it wants."""

from __future__ import annotations

import orjson
import pytest
from stream_kit import make_clock, make_game, running
from trio.testing import MockClock

from nbad.domain import Game
from nbad.stream.batch import EVERYTHING, Batch, Interest
from nbad.stream.cursor import Cursor
from nbad.stream.journal import StreamJournal


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


async def test_who_left_between_a_batch_and_the_snapshot_after_it_learns_that_a_game_left(
    clock: MockClock,
) -> None:
    """The tick that drops a game sends its batch first and then everyone a snapshot."""
    async with running() as stage:
        await stage.tick(make_game(0), make_game(1))
        async with stage.client() as client:
            welcome = await client.expect("welcome")
            await client.expect("snapshot")
        await stage.tick(make_game(0, 2), dropped=(game_id(1),))
        async with stage.client(f"?since={welcome['epoch']}.2") as again:
            await again.expect("welcome")
            games = (await again.expect("snapshot"))["games"]
    assert [game["game_id"] for game in games] == [game_id(0)]


def game_id(number: int) -> str:
    return make_game(number).update.entry.game_id


def apply(journal: StreamJournal, tick: int, *games: Game) -> Batch:
    batch = journal.apply(tick, games, journal.encode(games), {})
    assert batch is not None
    return batch


def test_a_filter_whose_games_were_silent_for_long_is_sent_the_next_batch() -> None:
    """Batches without its games passed it by. They are not owed, also where the ring forgot them:
    a snapshot of the whole night would be sent for one batch."""
    journal = StreamJournal("e", ring=4)
    mine = Interest(games=frozenset({game_id(0)}))
    cursor = Cursor(journal)
    cursor.subscribe(mine, None)
    apply(journal, 1, make_game(0), make_game(1))
    assert cursor.pull(8) is not None  # the snapshot: now it is live
    for tick in range(2, 12):
        assert journal.frame(apply(journal, tick, make_game(1, tick)), mine) is None
    batch = apply(journal, 12, make_game(0, 2))
    assert cursor.wait(batch.seq) == 1
    frame = cursor.pull(8)
    assert frame is not None
    message = orjson.loads(frame[frame.index(b"{") :])
    assert (message["type"], message["seq"]) == ("batch", batch.seq)


def test_the_ring_keeps_no_frames_made_for_filters() -> None:
    """Up to 256 a batch, and 600 batches: they are for the moment of sending."""
    journal = StreamJournal("e")
    batches = []
    for tick in range(1, 6):
        batch = apply(journal, tick, *(make_game(number, tick) for number in range(4)))
        for number in range(4):
            assert journal.frame(batch, Interest(games=frozenset({game_id(number)})))
        batches.append(batch)
    assert [len(batch.parts) for batch in batches] == [0] * 4 + [4]
    assert [bool(batch.bits) for batch in batches] == [False] * 4 + [True]
    frames = [
        [journal.frame(batch, Interest(games=frozenset({game_id(0)}))) for _ in range(2)]
        for batch in batches
    ]
    assert all(one == other for one, other in frames)
    assert [len(batch.parts) for batch in batches] == [0] * 4 + [4]
    assert journal.frame(batches[0], EVERYTHING) is batches[0].frame
