"""Where plays put a game: as a whole, and as they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbad.domain import Play, State, Status
from nbad.feed.judge import state_of_plays

PLAYS = st.lists(
    st.builds(
        lambda period, clock, home, away, ends: Play(
            1,
            1,
            period,
            clock,
            home,
            away,
            "game" if ends else "2pt",
            "end" if ends else "",
            0,
            0,
            "",
            "",
            "",
        ),
        st.integers(0, 5),
        st.sampled_from([0.0, 0.0, 0.4, 12.0, 300.0, 720.0]),
        st.integers(0, 3),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
).map(tuple)


@given(PLAYS, PLAYS, st.data())
def test_what_came_before_may_be_told_by_where_it_put_the_game(
    plays: tuple[Play, ...], taken_back: tuple[Play, ...], data: st.DataObject
) -> None:
    known = data.draw(st.integers(0, len(plays)))
    before = state_of_plays(plays[:known] + taken_back)
    assert state_of_plays(plays, known, before) == state_of_plays(plays)


@given(PLAYS)
def test_game_time_does_not_run_back(plays: tuple[Play, ...]) -> None:
    state = state_of_plays(plays)
    if not plays:
        assert state == State(Status.SCHEDULED, 0, 0.0, 0, 0)
        return
    period, left = max((play.period, -play.clock_s) for play in plays)
    assert (state.period, state.clock_s) == (period, -left)
    assert state.score == (plays[-1].home, plays[-1].away)
