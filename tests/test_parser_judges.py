"""What is told of a game, held to the laws of TRUTH.md by hand-worked nights of documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from feed_kit import EPOCH, ONE, TWO, action, entry, plays_of, stamp

from nbad.domain import Listing, Play, Update
from nbad.feed.decode import BadData
from nbad.feed.incremental import read
from nbad.feed.judge import Judge
from nbad.feed.playbyplay import compare
from nbad.model.forecaster import Forecaster
from nbad.observe.timing import Tick
from nbad.settings.current import Runtime
from nbad.settings.schema import Config
from nbad.simulator import simulate_night
from nbad.stages.envelopes import BOX, Document, Fetched
from nbad.stages.parser import GameProblem, GameTracker


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster.load()


def board_of(*games: Any) -> bytes:
    return orjson.dumps({"scoreboard": {"games": games}})


class Feed:
    """A feed that says one thing after another, each at its second."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.tracker = GameTracker()
        self.runtime = Runtime(Config(), forecaster)
        self.now = 0.0
        self.trouble: list[GameProblem] = []
        self.dropped: tuple[str, ...] = ()
        self.whole = True
        self.accepted: list[str] = []

    def says(
        self,
        plays: list[Any] | bytes | None = None,
        board: Any = None,
        *,
        box: Any = None,
        unchanged: bool = False,
        modified: float | None = None,
        after: float = 1.0,
        failed: tuple[str, ...] = (),
    ) -> Update | None:
        """What is told of game one; ``board`` is its entry, or a whole board's bytes, ``box`` what
        its box score says of the game; ``unchanged``: the board is as it was."""
        self.now += after
        documents = []
        if board is not None:
            body = board if isinstance(board, bytes) else board_of(board)
            documents.append(self.document("", body, modified))
        if unchanged:
            documents.append(Document("", None, self.now))
        if box is not None:
            documents.append(self.document(BOX + ONE, orjson.dumps({"game": box}), modified))
        if plays is not None:
            body = plays if isinstance(plays, bytes) else plays_of(ONE, plays)
            documents.append(self.document(ONE, body, modified))
        tick = Tick(int(self.now), self.now, self.runtime)
        fetched = Fetched(tick, self.now, self.now, tuple(documents), failed=failed)
        updates, self.trouble = self.tracker.take(fetched)
        self.dropped, self.whole = updates.dropped, tick.whole
        told = [update for update in updates.games if update.entry.game_id == ONE]
        return told[0] if told else None

    def document(self, game_id: str, body: bytes, modified: float | None) -> Document:
        accept = lambda: self.accepted.append(game_id)  # noqa: E731
        return Document(game_id, body, self.now, modified, accept)


P1, P2, P3 = action(1, 2, 0), action(2, 2, 3), action(3, 4, 3)
TIP = entry(ONE, clock="PT12M00.00S")


@pytest.fixture
def feed(forecaster: Forecaster) -> Feed:
    """A feed whose game has tipped off, and whose three plays were told."""
    made = Feed(forecaster)
    assert score(made.says([P1, P2, P3], TIP)) == (4, 3)
    return made


def score(update: Update | None) -> tuple[int, int]:
    assert update is not None
    return update.entry.home_score, update.entry.away_score


def told(update: Update | None) -> tuple[Any, ...]:
    assert update is not None
    entry_ = update.entry
    return str(entry_.status), entry_.period, entry_.home_score, entry_.away_score, update.corrected


def live(period: int, clock: str, home: int, away: int, **more: Any) -> Any:
    return entry(ONE, 2, clock, score=(home, away)) | {"period": period} | more


def final(home: int, away: int) -> Any:
    return entry(ONE, 3, "", score=(home, away)) | {"period": 4}


END = action(500, 100, 98, period=4, clock=0, kind="game", subkind="end")


# -- plays that go back ----------------------------------------------------------------


def test_an_older_snapshot_is_not_told(feed: Feed) -> None:
    assert feed.says([P1, P2]) is None
    assert feed.says([P1, P2, P3]) is None
    assert feed.says(after=60) is None


def test_a_play_taken_back_is_told_once_it_was_said_for_long(feed: Feed) -> None:
    assert feed.says([P1, P2]) is None
    assert feed.says(after=20) is None
    update = feed.says(after=10)
    assert score(update) == (2, 3)
    assert update is not None
    assert update.corrected


def test_the_known_state_that_comes_again_settles_what_was_pending_for_good(feed: Feed) -> None:
    """Two caches that take turns: the older one never speaks for 30 s without the other."""
    for _ in range(20):
        assert feed.says([P1, P2], after=5) is None
        assert feed.says([P1, P2, P3], after=5) is None


def test_a_newer_date_of_plays_is_accepted_at_once(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([P1, P2, P3], TIP, modified=100.0)
    assert feed.says([P1, P2], modified=99.0) is None
    assert feed.says([P1, P2], modified=100.0) is None
    update = feed.says([P1, P2], modified=101.0)
    assert told(update)[2:] == (2, 3, True)


def test_dates_of_two_edges_that_take_turns_prove_nothing(forecaster: Forecaster) -> None:
    """Each copy is dated when its edge took it: what a date took back comes back at once."""
    feed = Feed(forecaster)
    feed.says([P1, P2, P3], TIP, modified=100.0)
    told_ = [
        feed.says([P1, P2] if second % 2 else [P1, P2, P3], modified=100.0 + second)
        for second in range(1, 60)
    ]
    assert len([update for update in told_ if update is not None]) <= 2
    # What the plays themselves say to be newer still is.
    edited = action(2, 2, 2, edited=90)
    assert told(feed.says([P1, edited]))[2:] == (2, 2, True)


def test_a_date_still_proves_where_the_game_went_on_after_it(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([P1, P2, P3], TIP, modified=100.0)
    assert told(feed.says([P1, P2], modified=101.0))[2:] == (2, 3, True)
    p4, p5 = action(40, 4, 3), action(45, 6, 3)
    assert score(feed.says([P1, P2, p4], modified=141.0, after=40)) == (4, 3)
    assert score(feed.says([P1, P2, p4, p5], modified=146.0)) == (6, 3)
    assert told(feed.says([P1, P2, p4], modified=147.0))[2:] == (4, 3, True)


def test_an_older_date_is_accepted_all_the_same_after_30_s(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([P1, P2, P3], TIP, modified=100.0)
    feed.says([P1, P2], modified=50.0)
    assert told(feed.says(after=30.0))[2:] == (2, 3, True)


def test_an_edit_and_a_late_insert_are_corrections(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([P1, P3], TIP)
    update = feed.says([P1, P2, P3])
    assert update is not None
    assert (update.corrected, update.unchanged) == (True, 1)
    later = action(1, 3, 0, edited=1800)
    update = feed.says([later, P2, P3])
    assert update is not None
    assert (update.corrected, update.unchanged) == (True, 0)
    update = feed.says([later, P2, P3, action(4, 6, 3)])
    assert update is not None
    assert update.corrected is False


def test_a_play_recorded_late_does_not_take_the_time_back(feed: Feed) -> None:
    late = action(4, 4, 5) | {"timeActual": stamp(1)}
    told_ = feed.says([P1, P2, P3, late])
    assert score(told_) == (4, 5)
    assert told_ is not None
    assert told_.source_time == stamp(3)  # when the newest of them happened
    assert not told_.corrected


def test_two_edits_within_a_second_are_both_told(feed: Feed) -> None:
    first = action(3, 5, 3, edited=60)
    second = action(3, 6, 3, edited=60)  # the same second, another content
    assert score(feed.says([P1, P2, first])) == (5, 3)
    assert score(feed.says([P1, P2, second])) == (6, 3)


def test_an_edit_is_news_only_where_it_is_later_than_any_seen(feed: Feed) -> None:
    """Not than those of the last document: that may have brought none so late."""
    edited = action(3, 4, 3, edited=900)
    feed.says([P1, P2, edited])
    assert score(feed.says([P1, P2, edited, action(4, 6, 3, edited=60)])) == (6, 3)
    assert feed.says([P1, P2, edited, action(4, 5, 3, edited=500)]) is None
    assert told(feed.says(after=30.0))[2:] == (5, 3, True)


def test_points_overturned_by_a_later_play_are_told_corrected(feed: Feed) -> None:
    replay = action(4, 2, 3, clock=596, kind="instantreplay")
    assert told(feed.says([P1, P2, P3, replay]))[2:] == (2, 3, True)


def test_what_was_taken_back_and_given_again_is_told_at_once_each_time(feed: Feed) -> None:
    """As a play that has the sides the wrong way round, and the next that has them right."""
    plays = [P1, P2, P3, action(4, 3, 4)]
    assert told(feed.says(plays)) == ("live", 1, 3, 4, True)
    plays.append(action(5, 6, 3))
    assert told(feed.says(plays, live(1, "PT09M54.00S", 6, 3))) == ("live", 1, 6, 3, True)
    plays.append(action(6, 6, 5))
    assert told(feed.says(plays)) == ("live", 1, 6, 5, False)


def test_a_deleted_basket_takes_the_board_with_it(feed: Feed) -> None:
    """The board's date proves nothing, but plays that were accepted though they went back do."""
    feed.says([P1, P2, P3], live(1, "PT09M56.00S", 4, 3), modified=10.0)
    update = feed.says([P1, P2], live(1, "PT09M57.00S", 2, 3), modified=20.0)
    assert told(update)[2:] == (2, 3, True)


def test_two_edges_of_the_plays_make_no_flicker_whatever_the_one_took_back(feed: Feed) -> None:
    """Of a play within that was taken back, or changed with the same date, nothing goes back."""
    foul, p4 = action(3, 4, 3, kind="foul"), action(4, 4, 3, kind="turnover")
    feed.says([P1, P2, foul, p4])
    for newer in ([P1, P2, p4], [P1, P2 | {"description": "3PT"}, p4]):
        before = [P1, P2, foul, p4]
        assert feed.says(newer) is not None
        for _ in range(9):
            assert feed.says(before, after=5) is None
            assert feed.says(newer, after=5) is None
        feed.says(before)
        assert feed.says(after=30) is not None  # it is said again for long


def test_no_play_at_all_is_no_tip_off_again(feed: Feed) -> None:
    assert feed.says([]) is None
    update = feed.says(after=30)
    assert update is not None
    assert update.corrected
    assert update.entry.status == "live"


# -- the board -------------------------------------------------------------------------


def test_plays_that_stand_still_do_not_freeze_a_game(feed: Feed) -> None:
    update = feed.says(board=live(3, "PT05M00.00S", 61, 58))
    assert told(update) == ("live", 3, 61, 58, False)
    assert update is not None
    assert update.plays[-1].number == 3  # the last play known
    assert told(feed.says(board=final(110, 104))) == ("final", 4, 110, 104, False)


def test_a_board_that_goes_back_is_held(feed: Feed) -> None:
    feed.says(board=live(1, "PT08M00.00S", 12, 9))
    assert feed.says(board=live(1, "PT08M30.00S", 8, 9)) is None
    assert feed.says(board=live(1, "PT08M00.00S", 12, 9), after=29) is None
    assert feed.says(board=live(1, "PT08M30.00S", 8, 9), after=29) is None
    assert told(feed.says(board=live(1, "PT08M20.00S", 9, 9), after=30))[2:] == (9, 9, True)


def test_a_final_is_told_with_the_boards_score_at_once(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    last = action(490, 98, 100, period=4, clock=4)
    feed.says([last], live(4, "PT00M04.00S", 98, 100))
    assert told(feed.says(board=final(101, 100))) == ("final", 4, 101, 100, False)
    made = action(495, 101, 100, period=4, clock=0)
    over = action(500, 101, 100, period=4, clock=0, kind="game", subkind="end")
    update = feed.says([last, made, over])
    assert told(update) == ("final", 4, 101, 100, False)


def test_where_the_ends_differ_the_boards_stands(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([END], live(4, "PT00M02.00S", 98, 98))
    assert feed.says(board=final(99, 98)) is None
    assert told(feed.says(after=31)) == ("final", 4, 99, 98, True)
    assert feed.says(after=600) is None


def test_where_the_ends_differ_at_the_first_look_the_boards_is_told(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    assert told(feed.says([END], final(99, 98)))[:4] == ("final", 4, 99, 98)
    assert feed.says(after=60) is None


def test_a_final_that_the_board_alone_corrects_down_is_told_after_30_s(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    feed.says([END], final(100, 98))
    assert feed.says(board=final(99, 98)) is None
    assert feed.says(board=final(99, 98), after=29) is None
    assert told(feed.says(board=final(99, 98), after=1)) == ("final", 4, 99, 98, True)


def test_a_final_with_fewer_points_than_the_plays_is_told_at_once(forecaster: Forecaster) -> None:
    """The last basket was waved off: the league says so before the scorers do."""
    feed = Feed(forecaster)
    feed.says([action(490, 101, 100, period=4, clock=0)], live(4, "PT00M00.00S", 101, 100))
    assert told(feed.says(board=final(98, 100))) == ("final", 4, 98, 100, True)


def test_a_broken_off_game_that_is_final_with_fewer_points_is_told_at_once(feed: Feed) -> None:
    feed.says(board=live(4, "PT01M00.00S", 63, 60))
    feed.says(board=live(4, "PT01M00.00S", 63, 60, gameStatusText="Susp."))
    assert told(feed.says(after=30)) == ("postponed", 4, 63, 60, True)
    assert told(feed.says(board=final(62, 60))) == ("final", 4, 62, 60, True)


def test_what_the_board_is_past_is_no_end(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    before, ahead = action(490, 98, 98, period=4, clock=4), live(4, "PT00M01.00S", 101, 98)
    feed.says([before], live(4, "PT00M04.00S", 98, 98))
    assert told(feed.says([before, END], ahead)) == ("live", 4, 101, 98, False)
    assert told(feed.says(board=final(101, 98))) == ("final", 4, 101, 98, False)
    feed = Feed(forecaster)
    assert told(feed.says([END], live(5, "PT04M00.00S", 102, 100)))[:2] == ("live", 5)
    assert feed.says(after=60) is None
    feed = Feed(forecaster)
    assert told(feed.says([END], ahead))[0] == "live"
    assert told(feed.says(after=30))[:4] == ("final", 4, 100, 98)  # the board stood still


def test_a_play_of_an_earlier_period_recorded_late_does_not_take_the_time_back(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    third = action(300, 61, 58, period=3, clock=500)
    feed.says([P1, third], live(3, "PT08M20.00S", 61, 58))
    late = action(310, 62, 58, period=2, clock=100)
    update = feed.says([P1, third, late])
    assert told(update) == ("live", 3, 62, 58, False)
    assert update is not None
    assert update.entry.clock_s == 500


def test_what_is_recorded_after_the_end_is_of_a_game_that_is_over(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([END], live(4, "PT00M00.00S", 100, 98))
    late = action(510, 100, 99, period=4, clock=0, kind="freethrow")
    assert told(feed.says([END, late])) == ("final", 4, 100, 99, True)
    tied = action(520, 100, 100, period=4, clock=0, kind="freethrow")
    assert told(feed.says([END, late, tied])) == ("live", 4, 100, 100, True)


def test_a_final_of_the_board_is_not_flipped_by_plays_that_say_more(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([action(490, 98, 98, period=4, clock=4)], live(4, "PT00M04.00S", 98, 98))
    assert told(feed.says(board=final(99, 98)))[:4] == ("final", 4, 99, 98)
    update = feed.says([action(490, 98, 98, period=4, clock=4), END])
    assert told(update)[:4] == ("final", 4, 99, 98)


def test_a_final_that_is_corrected_stays_final(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([action(490, 100, 98, period=4, clock=4), END], final(100, 98))
    edited = [
        action(490, 99, 98, period=4, clock=4, edited=900),
        END | {"scoreHome": "99", "edited": "2026-01-15T03:00:00Z"},
    ]
    feed.says(edited)
    update = feed.says(board=final(99, 98))
    assert told(update) == ("final", 4, 99, 98, True)


def test_a_game_that_goes_on_past_its_end_is_told_at_once(forecaster: Forecaster) -> None:
    """Whatever the date of the end was: no copy from before has more points."""
    feed = Feed(forecaster)
    basket = action(1, 20, 18, clock=60)
    wrong = action(2, 20, 18, clock=0, kind="game", subkind="end", edited=86_400)
    feed.says([basket, wrong], live(1, "PT01M00.00S", 20, 18))
    on = [basket, action(3, 22, 18, period=2, clock=700)]
    update = feed.says(on, live(2, "PT11M40.00S", 22, 18))
    assert told(update) == ("live", 2, 22, 18, True)


def test_a_copy_that_goes_on_with_what_was_taken_back_is_held(forecaster: Forecaster) -> None:
    """Another edge's, which has still to take it back: for that it has more points than ever."""
    feed = Feed(forecaster)
    basket, wrong = action(1, 20, 18, clock=60), action(2, 23, 18, clock=50)
    feed.says([basket, wrong], live(1, "PT00M50.00S", 23, 18))
    right = action(2, 20, 18, clock=50, edited=100)
    update = feed.says([basket, right], live(1, "PT00M50.00S", 20, 18))
    assert told(update) == ("live", 1, 20, 18, True)
    behind = [basket, wrong, action(3, 23, 20, clock=40)]
    assert feed.says(behind) is None
    update = feed.says([basket, right, action(3, 20, 20, clock=40)])
    assert told(update) == ("live", 1, 20, 20, False)


def test_a_copy_of_an_earlier_moment_with_more_points_is_held(forecaster: Forecaster) -> None:
    """Another edge's, with a mistake that was taken back before it was seen here."""
    feed = Feed(forecaster)
    basket, right = action(1, 20, 18, clock=60), action(2, 20, 18, clock=50, edited=100)
    feed.says([basket, right, action(3, 20, 19, clock=40)], live(1, "PT00M40.00S", 20, 19))
    assert feed.says([basket, action(2, 23, 18, clock=50)]) is None


def test_a_tie_that_is_called_over_is_overtime(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([], live(4, "PT00M00.00S", 100, 100))
    assert feed.says(board=final(100, 100)) is None  # still live, at the end of the fourth
    over = live(5, "PT04M30.00S", 102, 100)
    assert told(feed.says(board=over)) == ("live", 5, 102, 100, False)


def test_a_game_does_not_stay_final_once_its_end_was_taken_back(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    before = action(490, 100, 98, period=4, clock=4)
    feed.says([before, END], live(4, "PT00M04.00S", 100, 98))
    going_on = action(501, 100, 98, period=4, clock=2, edited=900)
    update = feed.says([before, going_on])
    assert told(update) == ("live", 4, 100, 98, True)


def test_half_time_is_the_boards_word_and_ends_with_the_plays(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    end = action(200, 50, 48, period=2, clock=0, kind="period", subkind="end")
    half = live(2, "PT00M00.00S", 50, 48, gameStatusText="Half")
    assert told(feed.says([end], half))[0] == "halftime"
    third = action(201, 52, 48, period=3, clock=600)
    assert told(feed.says([end, third])) == ("live", 3, 52, 48, False)


def test_where_the_sides_are_swapped_the_board_speaks_and_it_is_said_once(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    swapped = [action(1, 7, 2, clock=590)]
    assert score(feed.says(swapped, live(1, "PT09M50.00S", 2, 7))) == (2, 7)


def test_unknown_is_not_zero(feed: Feed) -> None:
    feed.says(board=live(2, "PT05M00.00S", 30, 28))
    odd = live(2, "", 30, 28) | {"period": None}
    odd["homeTeam"] = odd["homeTeam"] | {"score": None}
    assert feed.says(board=odd) is None
    assert told(feed.says(board=live(3, "", 31, 28)))[1:4] == (3, 31, 28)


@pytest.mark.parametrize("period", [None, 0, "Q2"])
def test_a_period_that_is_left_unsaid_costs_no_clock(feed: Feed, period: Any) -> None:
    feed.says(board=live(2, "PT05M00.00S", 30, 28))
    update = feed.says(board=live(2, "PT04M40.00S", 32, 28) | {"period": period})
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 280)
    # But one that does not run on from there may be another period's, or nobody's.
    for clock in ("PT11M40.00S", "PT00M00.00S"):
        assert feed.says(board=live(3, clock, 32, 28) | {"period": period}) is None


def unsaid(listed: Any, score: Any = None) -> Any:
    """``listed`` with that in place of both scores."""
    sides = {side: listed[side] | {"score": score} for side in ("homeTeam", "awayTeam")}
    return listed | sides


@pytest.mark.parametrize("score_", [None, "", -1, 61.5, "sixty"])
def test_a_score_that_the_board_leaves_unsaid_is_the_plays(
    forecaster: Forecaster, score_: Any
) -> None:
    feed = Feed(forecaster)
    third = action(300, 61, 58, period=3, clock=310)
    board = unsaid(live(3, "PT05M00.00S", 0, 0), score_)
    assert told(feed.says([third], board)) == ("live", 3, 61, 58, False)
    on = action(310, 63, 58, period=3, clock=250)
    board = unsaid(live(3, "PT04M00.00S", 0, 0), score_)
    assert told(feed.says([third, on], board)) == ("live", 3, 63, 58, False)
    over = unsaid(final(0, 0), score_)
    assert feed.says(board=over) is None  # nobody says with which score
    assert told(feed.says([third, on, END])) == ("final", 4, 100, 98, False)
    late = Feed(forecaster)
    assert told(late.says([third, on, END], over))[:4] == ("final", 4, 100, 98)


def test_a_score_that_the_board_leaves_unsaid_is_its_last_where_plays_stand_still(
    feed: Feed,
) -> None:
    feed.says(board=live(2, "PT05M00.00S", 40, 38))
    assert told(feed.says(board=unsaid(live(2, "PT04M00.00S", 0, 0)))) == ("live", 2, 40, 38, False)
    assert told(feed.says(board=live(2, "PT03M00.00S", 44, 38)))[2:4] == (44, 38)


def test_a_final_without_points_does_not_unmake_what_the_plays_saw(forecaster: Forecaster) -> None:
    assert told(Feed(forecaster).says([END], final(0, 0)))[:4] == ("final", 4, 100, 98)


@pytest.mark.parametrize(
    ("period", "clock"),
    [(2, ""), (2, None), (2, "PT00M00.0S"), (2, "PT09M00.00S"), (0, ""), (None, None),
     (3, "PT12M00.00S"), (3, "PT00M00.00S")],
)  # fmt: skip
def test_half_time_is_known_by_its_name(
    forecaster: Forecaster, period: int, clock: str | None
) -> None:
    end = action(200, 50, 48, period=2, clock=0, kind="period", subkind="end")
    half = live(period, "", 50, 48, gameStatusText="Half", gameClock=clock)
    update = Feed(forecaster).says([end], half)
    assert told(update) == ("halftime", 2, 50, 48, False)
    assert update is not None
    assert update.entry.clock_s == 0


@pytest.mark.parametrize("period", [None, 0])
def test_a_final_without_a_period_is_of_the_fourth_at_least(
    forecaster: Forecaster, period: int | None
) -> None:
    feed = Feed(forecaster)
    assert told(feed.says([], final(100, 98) | {"period": period}))[:2] == ("final", 4)
    feed = Feed(forecaster)
    feed.says([], live(5, "PT00M02.00S", 105, 105))
    assert told(feed.says(board=final(108, 105) | {"period": period}))[:2] == ("final", 5)


def test_a_game_that_was_in_a_period_is_not_in_period_0(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    assert told(feed.says([], live(0, "", 0, 0)))[:2] == ("live", 0)  # at the tip
    assert told(feed.says(board=live(1, "PT11M58.00S", 0, 0)))[4] is False
    feed.says(board=live(3, "PT05M00.00S", 61, 58))
    assert feed.says(board=live(0, "", 61, 58), after=60) is None
    feed.says(board=live(0, "PT00M00.00S", 61, 58, gameStatusText="PPD"))
    update = feed.says(after=30)
    assert told(update)[:2] == ("postponed", 3)
    assert update is not None
    assert update.entry.clock_s == 300


def test_a_game_that_is_twice_on_the_board_is_where_its_further_entry_puts_it(
    forecaster: Forecaster,
) -> None:
    further, older = live(1, "PT10M30.00S", 6, 3), live(1, "PT11M00.00S", 4, 3)
    for both in ([further, older], [older, further], [further, entry(ONE, 1, "")]):
        feed = Feed(forecaster)
        assert told(feed.says([], board_of(*both)))[2:4] == (6, 3)
        for _ in range(5):
            assert feed.says(board=board_of(*both), after=10) is None


def test_a_broken_off_game_is_postponed_and_goes_on(feed: Feed) -> None:
    stopped = live(1, "PT09M56.00S", 4, 3, gameStatusText="Susp")
    assert feed.says(board=stopped) is None
    update = feed.says(after=30)
    assert told(update) == ("postponed", 1, 4, 3, True)
    assert told(feed.says(board=live(1, "PT09M40.00S", 6, 3)))[:4] == ("live", 1, 6, 3)


def test_plays_that_come_late_do_not_say_that_a_broken_off_game_is_on(feed: Feed) -> None:
    stopped = live(1, "PT09M50.00S", 6, 3, gameStatusText="Susp")
    feed.says(board=stopped)
    assert told(feed.says(after=30)) == ("postponed", 1, 6, 3, True)
    update = feed.says([P1, P2, P3, action(9, 6, 3)], stopped)  # the board's own moment
    assert told(update)[:4] == ("postponed", 1, 6, 3)
    again = feed.says([P1, P2, P3, action(9, 6, 3), action(12, 6, 5)], stopped)
    assert told(again)[:4] == ("live", 1, 6, 5)


def test_a_game_broken_off_without_a_clock_keeps_the_one_it_had(feed: Feed) -> None:
    feed.says(board=live(1, "PT08M00.00S", 12, 9))
    feed.says(board=live(1, "", 12, 9, gameStatusText="Suspended"))
    update = feed.says(after=30)
    assert told(update) == ("postponed", 1, 12, 9, True)
    assert update is not None
    assert update.entry.clock_s == 480


@pytest.mark.parametrize("seen", [True, False])
def test_a_game_that_its_plays_say_was_played_to_its_end_was_not_broken_off(
    forecaster: Forecaster, *, seen: bool
) -> None:
    """Whoever was there when the board said so tells the same as who was not."""
    feed = Feed(forecaster)
    stopped = live(4, "PT00M00.00S", 100, 98, gameStatusText="PPD")
    if seen:
        feed.says([P1], live(4, "PT00M10.00S", 100, 98))
        feed.says([P1], stopped)
    feed.says([P1, END], stopped)
    feed.says([P1, END], stopped, after=60)
    assert feed.tracker.tracked()[0].status == "final"
    # But an end with fewer points than the board's is of something else.
    feed.says([P1, END], live(4, "PT00M00.00S", 100, 103, gameStatusText="PPD"))
    feed.says(after=60)
    assert feed.tracker.tracked()[0].status == "postponed"


def test_plays_that_go_on_meanwhile_say_that_a_game_was_not_broken_off(feed: Feed) -> None:
    stopped = live(1, "PT09M56.00S", 4, 3, gameStatusText="Susp")
    feed.says(board=stopped)
    on = [P1, P2, P3, action(4, 6, 3)]
    assert told(feed.says(on, stopped))[:4] == ("live", 1, 6, 3)
    assert feed.says(on, stopped, after=60) is None


def test_plays_that_go_on_say_that_a_broken_off_game_is_on_again(feed: Feed) -> None:
    stopped = live(1, "PT09M56.00S", 4, 3, gameStatusText="Susp")
    feed.says(board=stopped)
    assert told(feed.says(after=30))[0] == "postponed"
    assert feed.says([P1, P2, P3], stopped) is None  # the same plays say nothing new
    again = feed.says([P1, P2, P3, action(4, 6, 3)], stopped)
    assert told(again)[:4] == ("live", 1, 6, 3)


def test_at_one_moment_of_the_clock_the_more_points_are_told(feed: Feed) -> None:
    """Free throws stop the clock: the board that lacks one is behind, whatever it says for long."""
    behind = live(1, "PT09M56.00S", 2, 3)
    assert [feed.says(board=behind, after=20) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "PPD"),
        (3, "Postponed"),
        (1, "Game Suspended"),
        (3, "Canceled"),
        (2, "Forfeit"),
        (1, "Postp."),
        (3, "Canc"),
    ],
)
def test_a_game_that_is_not_played_is_postponed(
    forecaster: Forecaster, code: int, words: str
) -> None:
    feed = Feed(forecaster)
    update = feed.says(board=entry(ONE, code, "") | {"gameStatusText": words}, failed=(ONE,))
    assert update is None or told(update)[0] == "postponed"
    if update is None:
        assert told(feed.says(after=6))[0] == "postponed"


def test_a_game_to_a_target_score_says_so(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    update = feed.says([P1 | {"isTargetScoreLastPeriod": True}], TIP)
    assert update is not None
    assert update.to_target_score
    # The feed takes it back, and says nothing else.
    update = feed.says([P1 | {"isTargetScoreLastPeriod": False}], TIP)
    assert update is not None
    assert not update.to_target_score


def test_a_target_score_that_is_taken_back_beside_a_play_is_gone(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([P1, P2 | {"isTargetScoreLastPeriod": True}], TIP)
    update = feed.says([P1, P2, P3], TIP)
    assert update is not None
    assert not update.to_target_score


# -- two edges of the board, of as much game time and points ---------------------------


def swapped(listed: Any) -> Any:
    return listed | {"homeTeam": listed["awayTeam"], "awayTeam": listed["homeTeam"]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (live(2, "PT00M00.00S", 50, 48), live(2, "", 50, 48, gameStatusText="Half")),
        (entry(ONE, 1, ""), entry(ONE, 1, "") | {"gameStatusText": "PPD"}),
        (entry(ONE, 1, ""), entry(ONE, 1, "", start=1800)),
        (entry(ONE, 1, ""), swapped(entry(ONE, 1, ""))),
        (live(1, "PT09M00.00S", 4, 3), live(1, "PT09M00.00S", 3, 4)),
        (live(1, "PT09M00.00S", 4, 3), swapped(live(1, "PT09M00.00S", 4, 3))),
    ],
)
def test_two_edges_of_the_board_that_differ_in_anything_make_no_flicker(
    forecaster: Forecaster, old: Any, new: Any
) -> None:
    feed = Feed(forecaster)
    feed.says([], old)
    told_ = [feed.says(board=new if second % 2 else old) for second in range(1, 60)]
    assert len([update for update in told_ if update is not None]) <= 1
    # The one that stays is the feed's word.
    feed.says(board=new)
    feed.says(after=31)
    fresh = Feed(forecaster)
    assert fresh.says([], new) is not None
    assert feed.tracker.tracked() == fresh.tracker.tracked()


def test_sides_that_are_swapped_are_told_with_their_own_points(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([], live(1, "PT09M00.00S", 4, 3))
    assert feed.says(board=swapped(live(1, "PT09M00.00S", 4, 3))) is None
    update = feed.says(after=30)
    assert told(update) == ("live", 1, 3, 4, True)
    assert update is not None
    assert update.entry.home.tricode == "DEN"


def test_a_side_that_has_fewer_points_is_told_corrected(forecaster: Forecaster) -> None:
    """A basket was taken back at the one end, and a three made at the other."""
    feed = Feed(forecaster)
    feed.says([], live(1, "PT05M00.00S", 14, 13))
    assert told(feed.says(board=live(1, "PT04M50.00S", 12, 16))) == ("live", 1, 12, 16, True)


def test_a_clock_that_is_put_back_holds_up_no_points(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    feed.says([], live(4, "PT00M05.00S", 100, 98))
    assert feed.says(board=live(4, "PT00M06.20S", 100, 98)) is None
    update = feed.says(board=live(4, "PT00M06.20S", 101, 98))
    assert told(update) == ("live", 4, 101, 98, True)
    assert feed.says(board=live(4, "PT00M07.00S", 100, 98)) is None  # but not as many


def test_a_copy_from_before_is_not_believed_for_what_another_document_took_back_earlier(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    p1, p2, p3 = (action(at, points, 0) for at, points in ((1, 2), (2, 4), (3, 6)))
    feed.says([p1], live(1, "PT09M58.00S", 2, 1))
    assert told(feed.says(board=live(1, "PT09M57.00S", 4, 0))) == ("live", 1, 4, 0, True)
    feed.says([p1, p2, p3])
    assert feed.says([p1, p2]) is None  # as the board, which lags


def test_points_taken_back_are_told_once_both_say_so_of_later(feed: Feed) -> None:
    """The plays never had the basket, so that nothing of theirs goes back."""
    feed.says(board=live(1, "PT09M50.00S", 6, 3))
    assert feed.says(board=live(1, "PT09M40.00S", 4, 3)) is None
    assert score(feed.says([P1, P2, P3, action(4, 4, 3, clock=590)])) == (6, 3)
    update = feed.says([P1, P2, P3, action(5, 4, 3, clock=580, kind="rebound")])
    assert told(update) == ("live", 1, 4, 3, True)


def test_plays_with_the_sides_swapped_are_never_told_and_end_no_game(
    forecaster: Forecaster,
) -> None:
    feed = Feed(forecaster)
    first, second = action(1, 7, 2, clock=590), action(2, 9, 2, clock=580)
    feed.says([first], live(1, "PT09M50.00S", 2, 7))
    assert score(feed.says([first, second])) == (2, 7)
    assert score(feed.says(board=live(1, "PT09M40.00S", 2, 9))) == (2, 9)
    feed.says(board=live(4, "PT00M02.00S", 95, 100), after=60)
    for _ in range(9):
        update = feed.says([first, second, END], after=20)
        assert update is None or told(update)[:4] == ("live", 4, 95, 100)
    assert told(feed.says(board=final(98, 100))) == ("final", 4, 98, 100, False)


# -- what cannot be --------------------------------------------------------------------


def test_a_period_that_begins_at_0_00_has_not_ended(feed: Feed) -> None:
    """Between two periods the clock still is at the end of the last one."""
    feed.says(board=live(1, "PT00M02.00S", 4, 3))
    update = feed.says(board=live(2, "PT00M00.00S", 6, 3))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 720)
    assert feed.says(board=live(2, "PT00M00.00S", 6, 3)) is None
    on = action(4, 8, 3, period=2, clock=700)
    assert told(feed.says([P1, P2, P3, on])) == ("live", 2, 8, 3, False)
    assert told(feed.says(board=live(2, "PT11M20.00S", 8, 5))) == ("live", 2, 8, 5, False)
    assert feed.says(board=live(2, "PT00M00.00S", 8, 5)) is None  # of nothing
    update = feed.says(board=live(2, "PT00M00.00S", 48, 45))
    assert update is not None
    assert update.entry.clock_s == 0


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (1, "END Q1"),
        (3, "End of 3rd Qtr"),
        (5, "END OT"),
        (6, "End of OT2"),
        (6, "End 2OT"),
        (5, "End of Overtime"),
        (6, "End of 2nd Overtime"),
    ],
)
@pytest.mark.parametrize("clock", ["PT00M00.00S", "", "PT12M00.00S"])
def test_a_period_of_few_points_is_over_where_the_board_says_so(
    forecaster: Forecaster, period: int, words: str, clock: str
) -> None:
    said = live(period, clock, 2, 1, gameStatusText=words)
    update = Feed(forecaster).says(board=said, failed=(ONE,))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (period, 0)
    feed = Feed(forecaster)
    feed.says(board=live(period, "PT05M00.00S", 0, 0), failed=(ONE,))
    update = feed.says(board=said)
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (period, 0)
    # But the words may be those of the period before still.
    update = feed.says(board=said | {"period": period + 1})
    assert update is None or update.entry.clock_s > 0


def test_a_daemon_that_starts_in_a_break_tells_the_period_to_come_whole(
    forecaster: Forecaster,
) -> None:
    """As one that saw the end of the last period: the plays say where that was."""
    over = action(9, 30, 28, clock=0, kind="period", subkind="end")
    update = Feed(forecaster).says([over], live(2, "PT00M00.00S", 30, 28))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 720)
    tie = action(9, 99, 99, period=4, clock=0, kind="period", subkind="end")
    update = Feed(forecaster).says([tie], live(5, "PT00M00.00S", 99, 99))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (5, 300)
    # So many points take a period.
    update = Feed(forecaster).says([over], live(2, "PT00M00.00S", 60, 48))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 0)


@pytest.mark.parametrize("words", ["END Q1", "End of 1st Qtr"])
def test_words_that_say_the_last_period_is_over_say_that_this_one_has_not_begun(
    forecaster: Forecaster, words: str
) -> None:
    said = live(2, "PT00M00.00S", 30, 28, gameStatusText=words)
    update = Feed(forecaster).says(board=said, failed=(ONE,))
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 720)
    feed = Feed(forecaster)  # also where the board had stood still for many points
    feed.says(board=live(1, "PT05M00.00S", 10, 8), failed=(ONE,))
    update = feed.says(board=said)
    assert update is not None
    assert (update.entry.period, update.entry.clock_s) == (2, 720)


@pytest.mark.parametrize(("points", "clock_s"), [(0, 720), (3, 0)])
def test_0_00_of_the_first_board_is_believed_where_somebody_scored(
    forecaster: Forecaster, points: int, clock_s: float
) -> None:
    said = live(1, "PT00M00.00S", points, 0)
    update = Feed(forecaster).says(board=said, failed=(ONE,))
    assert update is not None
    assert update.entry.clock_s == clock_s


@pytest.mark.parametrize("over", [final(0, 0), final(0, 0) | {"homeTeam": {"teamId": 1}}])
def test_nobody_has_won_before_the_score_is_said(forecaster: Forecaster, over: Any) -> None:
    feed = Feed(forecaster)
    last = action(490, 100, 98, period=4, clock=2)
    feed.says([last], live(4, "PT00M02.00S", 100, 98))
    assert told(feed.says(board=over)) == ("live", 4, 100, 98, False)
    assert feed.says(after=60) is None
    assert told(feed.says(board=final(100, 101))) == ("final", 4, 100, 101, False)


def test_a_game_broken_off_keeps_the_points_that_the_board_forgets(feed: Feed) -> None:
    feed.says(board=live(1, "PT09M50.00S", 4, 3))
    feed.says(board=live(0, "", 0, 0, gameStatusText="PPD"))
    update = feed.says(after=30)
    assert told(update) == ("postponed", 1, 4, 3, True)
    assert update is not None
    assert update.entry.clock_s == 590
    # And that it is to come does not say that it is on.
    for said in (entry(ONE, 1, "", start=80_000), entry(ONE, 1, "", score=(4, 3))):
        assert told(feed.says(board=said))[:4] == ("postponed", 1, 4, 3)
        assert feed.says(after=31) is None
    on = live(1, "PT09M40.00S", 6, 3)
    assert told(feed.says(board=on))[:4] == ("live", 1, 6, 3)


@pytest.mark.parametrize(("start", "status"), [(80_000, "postponed"), (-600, "live")])
def test_a_game_with_points_that_is_to_come_was_broken_off_where_it_is_not_due(
    forecaster: Forecaster, start: float, status: str
) -> None:
    feed = Feed(forecaster)
    feed.now = EPOCH
    said = entry(ONE, 1, "", start=start, score=(4, 3)) | {"period": 1}
    assert told(feed.says(board=said, failed=(ONE,)))[:4] == (status, 1, 4, 3)


def test_a_clock_of_ours_that_is_behind_breaks_no_game_off(forecaster: Forecaster) -> None:
    """The board lags at the tip-off, which by our clock is hours away."""
    feed = Feed(forecaster)
    feed.now = EPOCH - 10_000
    update = feed.says([P1], entry(ONE, 1, ""), modified=EPOCH + 30)
    assert told(update)[:4] == ("live", 1, 2, 0)
    for _ in range(3):
        assert feed.says(board=entry(ONE, 1, ""), modified=EPOCH + 30, after=31) is None


@pytest.mark.parametrize(
    ("outage", "back"),
    [
        ({"failed": ("", ONE)}, {"unchanged": True}),
        ({"board": b"<html>", "plays": b"<html>"}, {"unchanged": True}),
        ({"board": board_of(), "failed": (ONE,)}, {"board": live(1, "PT09M58.00S", 2, 0)}),
        (
            {"board": board_of({"gameId": ONE}), "plays": plays_of(TWO, [])},
            {"board": live(1, "PT09M58.00S", 2, 0)},
        ),
    ],
)
def test_what_comes_no_more_is_no_word_that_was_kept(
    feed: Feed, outage: dict[str, Any], back: dict[str, Any]
) -> None:
    """A copy from before, and then an outage: it is not believed for the silence after it."""
    feed.says(board=live(1, "PT09M50.00S", 4, 3))
    feed.says([P1, P2], live(1, "PT09M58.00S", 2, 0))
    for _ in range(9):
        assert feed.says(**outage, after=10) is None
    feed.says(**back)  # it does come: that was its word all the time
    feed.says([P1, P2])
    assert feed.tracker.tracked()[0].lead == 1


# -- half readable ---------------------------------------------------------------------


def test_a_play_that_cannot_be_read_costs_itself(feed: Feed) -> None:
    broken = action(4, 6, 3) | {"orderNumber": None}
    update = feed.says([P1, P2, P3, broken, action(5, 8, 3)])
    assert score(update) == (8, 3)
    assert {trouble.event for trouble in feed.trouble} == {"play_skipped", "game_skipped"}
    assert "action 4: orderNumber" in feed.trouble[0].reason
    unread = feed.says([P1, P2 | {"orderNumber": None}, P3, action(5, 8, 3)])
    assert unread is not None
    assert feed.says([P1, P2, P3, action(5, 8, 3)]) is not None  # at once
    update = feed.says([P1, P2, P3, action(4, 6, 3), action(5, 8, 3)])
    assert update is not None
    assert [play.number for play in update.plays] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("said", [{}, {"gameId": None}])
def test_plays_that_do_not_say_whose_they_are_are_those_asked_for(feed: Feed, said: Any) -> None:
    on = {"game": said | {"actions": [P1, P2, P3, action(4, 6, 3)]}}
    assert score(feed.says(orjson.dumps(on))) == (6, 3)
    assert feed.says(plays_of(TWO, [P1, P2, P3, action(4, 6, 3), action(5, 8, 3)])) is None


def test_a_document_that_is_none_is_asked_for_again(feed: Feed) -> None:
    feed.accepted.clear()
    assert feed.says(b'{"game":{"gameId":"0022500001","actions":[') is None
    assert feed.says(b'{"game":{"gameId":"0022500009","actions":[]}}') is None
    assert feed.accepted == []
    feed.says([P1, P2, P3, action(4, 6, 3)])
    assert feed.accepted == [ONE]


def test_what_nobody_uses_hides_nothing(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    odd = live(1, "PT09M00.00S", 4, 3) | {"gameTimeUTC": 7, "gameLeaders": None, "gameEt": []}
    update = feed.says(None, odd, failed=(ONE,))
    assert update is not None
    assert update.entry.start_utc is None


def test_a_fault_of_ours_costs_one_game(
    forecaster: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(forecaster)

    def fail(*_: object) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nbad.feed.followed.read", fail)
    both = board_of(TIP, entry(TWO, 1, ""))
    assert score(feed.says([P1], both)) == (0, 0)  # told from the board
    assert [(trouble.event, trouble.game_id) for trouble in feed.trouble] == [("game_failed", ONE)]


def test_a_fault_of_ours_with_an_entry_of_the_board_costs_one_game(
    forecaster: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, report = Feed(forecaster), Judge.report_board

    def fail(judge: Judge[Any], listing: Listing, now: float, at: float) -> bool:
        if listing.game_id == ONE:
            raise RuntimeError("a bug")
        return report(judge, listing, now, at)

    monkeypatch.setattr(Judge, "report_board", fail)
    feed.says(board=board_of(TIP, entry(TWO, score=(4, 3))), failed=(TWO,))
    assert [(trouble.event, trouble.game_id) for trouble in feed.trouble] == [("game_failed", ONE)]
    assert [game.game_id for game in feed.tracker.tracked() if game.begun] == [TWO]


# -- the night -------------------------------------------------------------------------


def test_a_game_under_way_is_first_told_with_its_plays(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    assert feed.says(board=live(1, "PT05M00.00S", 20, 18)) is None
    assert not feed.whole
    update = feed.says([P1, P2, P3])
    assert update is not None
    assert (score(update), len(update.plays), feed.whole) == ((20, 18), 3, True)


def test_a_game_is_told_without_plays_where_none_come(forecaster: Forecaster) -> None:
    feed = Feed(forecaster)
    assert feed.says(board=live(1, "PT05M00.00S", 20, 18)) is None
    assert score(feed.says(after=5)) == (20, 18)


def test_a_game_leaves_a_minute_after_the_board(feed: Feed) -> None:
    feed.says(board=final(100, 98))
    assert feed.says(board=board_of()) is None
    feed.says(after=59)
    assert not feed.dropped
    feed.says(after=2)
    assert feed.dropped == (ONE,)


def test_a_feed_that_changes_its_ids_fills_no_memory(feed: Feed) -> None:
    for night in range(3):
        many = [live(1, "PT09M00.00S", 9, 9) | {"gameId": night * 1000 + n} for n in range(400)]
        feed.says(board=board_of(*many))
    followed = {game.game_id for game in feed.tracker.tracked()}
    assert len(followed) == 500
    assert {f"{2000 + n:010}" for n in range(400)} < followed
    assert ONE not in followed  # it left first


def test_plays_are_ordered_and_compared() -> None:
    plays = read(plays_of(ONE, [P3, P1, P2])).plays
    assert [play.number for play in plays] == [1, 2, 3]
    assert compare(plays, plays).unchanged == 3
    assert compare(plays[:2], plays).corrected is False
    with pytest.raises(BadData, match="expected a play-by-play in JSON"):
        read(b"{")


def test_a_simulated_night_read_moment_by_moment_ends_right() -> None:
    night = simulate_night(2, 3)
    for game_id, ended in night.finals.items():
        known: tuple[Play, ...] = ()
        t = night.starts_at - 9_000
        while t < night.ends_at + 60:
            resource = night.play_by_play(game_id, t)
            if resource is not None:
                plays = read(resource.body).plays
                assert not compare(known, plays).older or known == plays or not known
                known = plays
            t += 97
        assert (known[-1].home, known[-1].away) == ended


def test_of_a_game_that_leaves_nothing_is_told_in_the_same_tick(forecaster: Forecaster) -> None:
    """Else the stages behind would take it for a new one, and keep it for ever."""
    feed = Feed(forecaster)
    feed.says([P1, P2, P3, END], final(100, 98))
    assert feed.says(board=board_of()) is None
    assert feed.says([P1, P2, P3, action(4, 101, 98), END], after=70) is None
    assert feed.dropped == (ONE,)


# -- the box score, one more edge of the board -----------------------------------------


def test_a_score_that_the_box_score_has_first_is_told_from_it(feed: Feed) -> None:
    ahead = live(1, "PT09M40.00S", 4, 6)
    assert told(feed.says(box=ahead, modified=EPOCH)) == ("live", 1, 4, 6, False)
    # The board is a copy from before: no step back, and no news when it catches up.
    assert feed.says(board=live(1, "PT09M50.00S", 4, 3)) is None
    assert feed.says(board=ahead) is None
    # One that lags says nothing, however often: neither does one that is as it was.
    assert feed.says(box=live(1, "PT09M50.00S", 4, 3)) is None
    for _ in range(9):
        assert feed.says(unchanged=True, after=9) is None


def test_what_the_box_score_alone_said_stands_until_it_says_otherwise(feed: Feed) -> None:
    """A board that stands still freezes no game, as it does not where the plays go on."""
    before = live(1, "PT09M50.00S", 4, 3)
    feed.says(board=before)
    ahead = live(1, "PT09M40.00S", 4, 6)
    assert told(feed.says(box=ahead)) == ("live", 1, 4, 6, False)
    for _ in range(9):
        assert feed.says(unchanged=True, box=ahead, after=20) is None
    # It was wrong: the board, changed or not, is the feed's word again.
    for _ in range(2):
        assert feed.says(unchanged=True, box=before, after=20) is None
    assert told(feed.says(unchanged=True, after=20)) == ("live", 1, 4, 3, True)
    assert feed.says(unchanged=True, box=before, after=40) is None


def test_a_board_that_only_other_games_change_takes_nothing_of_the_box_score_back(
    feed: Feed,
) -> None:
    before = live(1, "PT09M50.00S", 4, 3)
    feed.says(board=before)
    assert told(feed.says(box=live(1, "PT09M40.00S", 4, 6))) == ("live", 1, 4, 6, False)
    for second in range(9):
        board = board_of(before, entry(TWO, clock=f"PT11M0{second}.00S"))
        assert feed.says(board=board, after=20) is None
    # The box score says so no longer: it goes back as before.
    for second in range(2):
        board = board_of(before, entry(TWO, clock=f"PT10M0{second}.00S"))
        assert feed.says(board=board, box=before, after=20) is None
    assert told(feed.says(unchanged=True, after=20)) == ("live", 1, 4, 3, True)


def test_a_box_score_that_says_half_time_says_its_score_still(feed: Feed) -> None:
    feed.says(board=live(2, "PT00M03.00S", 50, 48))
    box = live(2, "PT00M00.00S", 52, 48, gameStatusText="Q2 0:00")
    assert told(feed.says(box=box)) == ("live", 2, 52, 48, False)
    feed.says(box=live(2, "", 52, 48, gameStatusText="Halftime"))
    for _ in range(9):
        assert feed.says(unchanged=True, after=20) is None


def test_two_edges_of_a_box_score_make_no_flicker_after_a_correction_either(feed: Feed) -> None:
    ahead, behind = live(1, "PT09M50.00S", 4, 6), live(1, "PT09M50.00S", 4, 3)
    feed.says(board=ahead)
    assert feed.says(board=behind) is None
    assert told(feed.says(unchanged=True, after=30)) == ("live", 1, 4, 3, True)
    assert told(feed.says(box=ahead)) == ("live", 1, 4, 6, False)
    for _ in range(9):
        assert feed.says(box=behind, after=5) is None
        assert feed.says(box=ahead, after=5) is None


def test_a_box_score_that_stands_still_holds_no_game_up(feed: Feed) -> None:
    """It was wrong, and is not to be had any more: the board is past it."""
    feed.says(board=live(1, "PT09M50.00S", 4, 3))
    assert told(feed.says(box=live(1, "PT09M40.00S", 4, 6))) == ("live", 1, 4, 6, False)
    assert feed.says(board=live(1, "PT09M30.00S", 4, 3)) is None
    assert feed.says(board=live(1, "PT09M20.00S", 4, 3), after=20) is None
    assert told(feed.says(unchanged=True, after=20)) == ("live", 1, 4, 3, True)


@pytest.mark.parametrize(
    "box",
    [
        final(98, 101),  # it is over when the board says so, by its score
        entry(ONE, 1, "", score=(0, 0)),
        live(1, "PT09M57.00S", 3, 4),  # as many points, but not the same
        live(1, "PT09M50.00S", 4, 3, gameStatusText="Suspended"),
        live(1, "PT09M57.00S", 4, 3, homeTeam={"teamId": 1, "teamTricode": "BOS", "score": None}),
        # Its clock is not told with another's score.
        live(1, "PT09M50.00S", 4, 3, homeTeam={"teamId": 1, "teamTricode": "BOS", "score": None}),
        live(0, "", 0, 0),
        {"gameId": ONE},
        {},
        live(4, "PT01M00.00S", 90, 90, gameId=TWO),
    ],
)
def test_nothing_else_that_it_says_is_told(feed: Feed, box: Any) -> None:
    feed.says(board=live(1, "PT09M57.00S", 4, 3))
    assert feed.says(box=box) is None
    assert feed.says(after=60) is None
    assert told(feed.says(board=live(1, "PT09M40.00S", 5, 3))) == ("live", 1, 5, 3, False)


def test_it_does_not_say_that_half_time_is_none(feed: Feed) -> None:
    board = live(2, "", 50, 48, gameStatusText="Halftime")
    assert told(feed.says(board=board)) == ("halftime", 2, 50, 48, False)
    assert feed.says(box=live(2, "PT00M00.00S", 50, 48, gameStatusText="Q2 0:00")) is None
