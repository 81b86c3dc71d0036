"""The turns of the documents beside a plain loop's, on a clock that is a number."""

from __future__ import annotations

import heapq

import pytest

from nbad.domain import Status
from nbad.feed.poll_plan import TrackedGame
from nbad.feed.turns import BOARD, Now, Turns
from nbad.settings.schema import Poll

POLL = Poll()
READS_S = 0.01  # what the loop does with each answer; measured, see nbad/feed/turns.py
MEASURED_S = 600.0


def games(count: int) -> list[TrackedGame]:
    return [TrackedGame(f"00225000{place:02}", Status.LIVE) for place in range(count)]


def ours(count: int, answer_s: float, connect_s: float) -> dict[str, list[float]]:
    """When each document is asked for, of a feed without a cache whose answers take so long."""
    turns = Turns(connect_s=connect_s)
    turns.begin(0.0)
    turns.board_read = True
    turns.follow(games(count), Now(0.0, 0.0, 0.0), POLL)
    asked: dict[str, list[float]] = {place: [] for place in turns.documents}
    answers: list[tuple[float, str]] = []
    at = 0.0
    while at < MEASURED_S:
        now = Now(at, at, 0.0)
        for place in turns.due(now, POLL):
            turns.documents[place].in_flight = True
            asked[place].append(at)
            heapq.heappush(answers, (at + answer_s, place))
        at = min(turns.next_at(), answers[0][0] if answers else MEASURED_S)
        while answers and answers[0][0] <= at:
            _, place = heapq.heappop(answers)
            document = turns.documents[place]
            document.in_flight = False
            document.took(answer_s)
            turns.answered(place, Now(at, at, 0.0), POLL)
    return asked


def loops(count: int, answer_s: float, connect_s: float) -> float:
    """A plain loop's requests a second: each on a new connection, one after the other, then a
    second's sleep."""
    documents = 1 + count
    return documents / (1.0 + documents * (connect_s + answer_s + READS_S))


@pytest.mark.parametrize("count", [1, 4, 8, 15])
@pytest.mark.parametrize(
    ("answer_s", "connect_s"),
    [(0.001, 0.0), (0.02, 0.0), (0.02, 0.02), (0.02, 0.04), (0.03, 0.0)],
)
def test_as_often_as_a_plain_loop_and_no_more(
    count: int, answer_s: float, connect_s: float
) -> None:
    """As often, as what is asked for less is told later."""
    asked = ours(count, answer_s, connect_s)
    rate = sum(map(len, asked.values())) / MEASURED_S
    loop = loops(count, answer_s, connect_s)
    # What the loop takes where that is more than another interval is not waited for.
    documents = 1 + count
    if documents * (connect_s + answer_s + READS_S) > POLL.live_interval_s:
        loop = documents / (2 * POLL.live_interval_s)
    assert 0.98 * loop <= rate <= 1.005 * loop


def test_a_score_is_looked_for_twice_a_beat() -> None:
    """It is in the board and in the plays: these are asked for in the middle between two boards."""
    asked = ours(8, 0.02, 0.0)
    boards = asked.pop(BOARD)[10:]
    beat = (boards[-1] - boards[0]) / (len(boards) - 1)
    for plays in asked.values():
        for at in plays[10:]:
            since = (at - boards[0]) % beat
            assert since == pytest.approx(beat / 2, abs=0.03 * beat)


def test_what_failed_is_asked_for_again_once_the_board_is_back() -> None:
    """Its own turn, after a long outage, is up to 15 intervals away."""
    turns = Turns()
    turns.begin(0.0)
    turns.follow(games(2), Now(0.0, 0.0, 0.0), POLL)
    failed, well = sorted(turns.documents.keys() - {BOARD})
    for at in range(20):
        for place in (BOARD, failed):
            turns.refused(place, Now(at, at, 0.0), POLL, 0.0)
    turns.answered(well, Now(30.0, 30.0, 0.0), POLL)
    now = Now(30.0, 30.0, 0.0)
    turns.documents[failed].at = 40.0
    turns.answered(BOARD, now, POLL)
    assert turns.due(now, POLL) == [failed]


@pytest.mark.parametrize("count", [1, 4, 8, 15])
@pytest.mark.parametrize("connect_s", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("life_s", [0, 1, 2, 3, 4, 10])
def test_box_scores_are_asked_for_where_that_leaves_it_at_fewer_requests_than_a_loops(
    count: int, connect_s: float, life_s: int
) -> None:
    turns = Turns(connect_s=connect_s)
    turns.begin(0.0)
    turns.follow(games(count), Now(0.0, 0.0, 0.0), POLL)
    headers = {"cache-control": f"max-age={life_s}", "age": "0"} if life_s else {}
    for document in turns.documents.values():
        document.took(0.02)
        document.timing.observe(0.0, 0.02, headers, changed=True)
    pays = turns.box_score_pays("0022500000", POLL)
    assert not turns.box_score_pays("of no game", POLL)
    loop = loops(count, 0.02, connect_s)
    assert pays == (life_s >= 2 * (1 + count) / loop)
    assert not pays or (1 + 2 * count) / life_s <= loop
