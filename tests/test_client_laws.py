"""Whatever happens between them, the client's view ends equal to the server's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from laws_kit import examples
from stream_kit import HOST, Stage, make_clock, make_game, running

from nbad.client import Dropped, Feed, Game, Heartbeat, connect
from nbad.stream.batch import Interest

# The epoch of a server that was started anew since: going on from there is of no use.
FORGOTTEN = "x"

FILTERS: list[dict[str, Any]] = [
    {},
    {"teams": ["BOS"]},
    {"games": ["0022500002"], "teams": ["chi"]},
]

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("tick"),
            st.dictionaries(st.integers(0, 5), st.integers(0, 150), min_size=1, max_size=4),
        ),
        st.tuples(st.just("drop"), st.none()),
        st.tuples(st.just("read"), st.integers(1, 4)),
        st.tuples(st.just("forget"), st.none()),
    ),
    min_size=10,
    max_size=40,
)


@pytest.mark.slow
@examples(15)
@given(steps, st.sampled_from(FILTERS), st.sampled_from([1, 8]), st.sampled_from([0.0, 300.0]))
def test_the_view_is_the_truth(
    todo: list[tuple[str, Any]], chosen: dict[str, Any], queue: int, interval_ms: float
) -> None:
    async def run() -> None:
        async with running(queue=queue, batch_interval_ms=interval_ms, heartbeat_s=1.0) as stage:
            await stage.tick(make_game(0), make_game(1), make_game(2))
            url = f"ws://{HOST}:{stage.port}/v1/stream"
            async with connect(url, **chosen) as feed:
                for op, value in todo:
                    await act(stage, feed, op, value)
                await settle(stage, feed)
                assert view(feed) == truth(stage, chosen)

    trio.run(run, clock=make_clock())


async def act(stage: Stage, feed: Feed, op: str, value: Any) -> None:
    if op == "tick":
        await stage.tick(*(make_game(number, score) for number, score in value.items()))
    elif op == "drop":
        for subscriber in stage.hub._all():
            subscriber.stream.abort("cut by the test")
    elif op == "read":
        for _ in range(value):
            await read(feed)  # a heartbeat at least
    else:
        feed.view.epoch = FORGOTTEN


async def read(feed: Feed) -> object:
    """The next message. That one was lost, or came twice, is no reason to come again."""
    message = await anext(feed)
    if isinstance(message, Dropped) and feed.epoch != FORGOTTEN:
        assert "a gap" not in message.reason
    return message


async def settle(stage: Stage, feed: Feed) -> None:
    """Read until the server says that it has sent all, and that this was its newest batch."""
    message = await read(feed)
    while not isinstance(message, Heartbeat) or message.seq != stage.hub.journal.seq:
        message = await read(feed)


def view(feed: Feed) -> dict[str, Any]:
    return {game_id: game.model_dump(exclude={"series"}) for game_id, game in feed.games.items()}


def truth(stage: Stage, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a newcomer with the same filter would be told."""
    interest = Interest(
        frozenset(chosen.get("games", [])),
        frozenset(team.upper() for team in chosen.get("teams", [])),
    )
    frame = stage.hub.journal.snapshot(interest)
    games = orjson.loads(frame[frame.index(b"{") :])["games"]
    return {
        game["game_id"]: Game.model_validate(game).model_dump(exclude={"series"}) for game in games
    }
