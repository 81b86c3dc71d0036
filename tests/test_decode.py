"""Numbers of the feed that no game has: refused where they are read, with the field's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbad.feed.decode import (
    BadData,
    Known,
    document,
    game_id,
    integer,
)
from nbad.feed.playbyplay import UNKNOWN, _any_play, completed, parse_play, plain_play
from nbad.feed.scoreboard import parse_scoreboard
from nbad.feed.times import _utc_or_none, epoch_s, stamp, stamp_of, stamps, utc_or_none

ACTION = {
    "actionNumber": 7, "orderNumber": 70000, "period": 2, "clock": "PT07M11.25S",
    "scoreHome": "30", "scoreAway": "28", "actionType": "2pt", "teamId": 1610612738,
    "possession": 1610612738, "personId": 1628369,
}  # fmt: skip
ABSURD = [-1, 40_000, 10**17, "9" * 5000, "-3", 1e300, True, [], "١٢٣٤٥"]


@pytest.mark.parametrize("value", [*ABSURD, "", None], ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("name", ["scoreHome", "scoreAway"])
def test_an_absurd_score_of_a_play_is_unknown(name: str, value: Any) -> None:
    play = parse_play(ACTION | {name: value})
    assert {"scoreHome": play.home, "scoreAway": play.away}[name] == UNKNOWN
    known = completed((parse_play(ACTION), play))[1]
    assert (known.home, known.away) == (30, 28)


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("PT12M", 720), ("PT5M", 300), ("PT720S", 720), ("PT4.5S", 4.5), (" PT5M00.00S  ", 300)],
)
def test_a_clock_without_minutes_or_seconds_is_read(clock: str, seconds: float) -> None:
    assert parse_play(ACTION | {"clock": clock}).clock_s == seconds


@pytest.mark.parametrize(
    "clock", ["", None, "PT13M", "PT", "PTM5S", "PT1H", "PT5", 7, "PT00M99999999999999.9S"]
)
def test_a_clock_that_cannot_be_is_the_last_one_known(clock: Any) -> None:
    play = parse_play(ACTION | {"clock": clock})
    assert play.clock_s == UNKNOWN
    assert completed((parse_play(ACTION), play))[1].clock_s == 431.25
    assert completed((play,))[0].clock_s == 720.0  # the period had just begun


@pytest.mark.parametrize("value", ["9" * 5000, 1e300, 2**60, [1]], ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("name", ["teamId", "possession", "personId"])
def test_an_absurd_id_names_nobody(name: str, value: Any) -> None:
    field = {"teamId": "team_id", "possession": "possession", "personId": "person_id"}[name]
    assert getattr(parse_play(ACTION | {name: value}), field) == 0


@pytest.mark.parametrize("value", ["9" * 5000, 1e300, 2**60, [1], None, "", -1])
@pytest.mark.parametrize("name", ["actionNumber", "orderNumber", "period"])
def test_an_action_that_cannot_be_placed_is_none(name: str, value: Any) -> None:
    with pytest.raises(BadData, match=f"{name}: expected"):
        parse_play(ACTION | {name: value})


@pytest.mark.parametrize(
    "value", ["", 0, "0", "0000000000", None, True, "00225000011", "00225A0001"]
)
def test_a_game_without_an_id_is_none(value: Any) -> None:
    with pytest.raises(BadData, match="gameId: expected"):
        game_id({"gameId": value})
    assert game_id({"gameId": 22500001}) == game_id({"gameId": "22500001"}) == "0022500001"


def test_a_whole_number_may_come_as_a_float() -> None:
    floats = {"actionNumber": 7.0, "orderNumber": 70000.0, "period": 2.0, "scoreHome": 30.0}
    assert parse_play(ACTION | floats) == parse_play(ACTION)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"NaN", None), (b"-Infinity", None), (b"1e400", None), (b"0.5", 0.5), (b"7", 7),
        (b'"a\x01\tb"', "a\x01\tb"), (b'"Doncic \xc4"', "Doncic \ufffd"),
        (b'"\\ud83c\\udfc0\\ud83d"', "\U0001f3c0?"), (b'"\\\\ud83d"', "\\ud83d"),
    ],
)  # fmt: skip
def test_what_is_no_json_costs_the_value_that_it_is_in(written: bytes, read: Any) -> None:
    said = document(b'{"d": {"odd": NaN, "value": ' + written + b"}}", "a document", "d")
    assert said == {"odd": None, "value": read}
    assert orjson.dumps(said)  # it can be told


@pytest.mark.parametrize(
    "body",
    [b'{"d": {', b'{"d": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"],
)
def test_what_is_json_to_nobody_is_bad_data(body: bytes) -> None:
    with pytest.raises(BadData, match="expected a document in JSON"):
        document(body, "a document", "d")


def test_an_absurd_game_of_the_board_is_skipped_and_the_others_are_not() -> None:
    side = {"teamId": 1, "teamTricode": "BOS", "score": 0}
    game = {
        "gameId": "0022500001", "gameStatus": 2, "period": 1, "gameClock": "PT10M00.00S",
        "gameTimeUTC": "2026-01-15T02:00:00Z", "homeTeam": side, "awayTeam": side,
    }  # fmt: skip
    bad = [game | {"gameStatus": 9}, game | {"homeTeam": {"teamId": 0}}, 7]
    odd = [
        game | {"gameId": 22500002, "period": "9" * 5000, "gameTimeUTC": "0001-01-01T00:00:00Z"},
        game | {"gameId": "0022500003", "homeTeam": side | {"score": 40_000}, "gameClock": [1]},
    ]
    body = orjson.dumps({"scoreboard": {"gameDate": None, "games": [*bad, game, *odd]}})
    board = parse_scoreboard(body)
    assert [listing.game_id[-1] for listing in board.games] == ["1", "2", "3"]
    assert [(reason.split(":")[0], name[-1]) for name, reason in board.skipped] == [
        ("gameStatus", "1"), ("teamTricode", "1"), ("expected an object with gameId, was 7", "2"),
    ]  # fmt: skip
    assert (board.games[1].period, board.games[1].start_utc) == (None, None)
    assert (board.games[2].home_score, board.games[2].clock_s) == (None, None)


@given(st.one_of(st.integers(), st.text(), st.floats(), st.none(), st.booleans()))
def test_what_is_read_is_in_bounds_and_all_else_is_bad_data(value: Any) -> None:
    try:
        read = integer({"n": value}, "n", 999)
    except BadData:
        return
    assert 0 <= read <= 999
    assert read == int(value)


VALUES = st.one_of(
    st.sampled_from([None, "", "0", "7", "007", "999", "1000", 0, 7, -1, 25, 26, 2**53, 2**53 + 1]),
    st.sampled_from([True, 1.5, [], {}, " 2pt ", "x" * 401, "PT07M11.25S", "PT15M00.00S"]),
    st.sampled_from(["2026-01-15T02:10:19.0Z", "2026-01-15T02:10:19Z", "2026-02-30T02:10:19Z"]),
)
FIELDS = [*ACTION, "subType", "description", "timeActual", "edited", "playerNameI"]


@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4), st.sets(st.sampled_from(FIELDS))
)
def test_what_is_read_the_short_way_is_what_the_long_way_reads(
    changed: dict[str, Any], left_out: set[str]
) -> None:
    action = {name: value for name, value in (ACTION | changed).items() if name not in left_out}
    plain = plain_play(action, None)
    try:
        assert plain in (None, _any_play(action))
    except BadData:
        assert plain is None


def test_the_form_of_the_feed_is_read_the_short_way() -> None:
    assert plain_play(ACTION | {"timeActual": "2026-01-15T02:10:19.0Z"}, None) is not None


@given(
    st.text("0123456789-:TZ+. ", max_size=24) | st.datetimes().map(lambda at: f"{at:%Y-%m-%dT%XZ}")
)
def test_a_stamp_of_whole_seconds_is_that_moment(value: str) -> None:
    if len(value) != 20 or not value.endswith("Z"):
        return
    try:
        moment = epoch_s(value)
    except BadData:
        assert stamp(value) == ""
    else:
        assert epoch_s(stamp(value)) == moment


TENTHS = ["2026-01-15T02:10:19.0Z", "2031-12-31T23:59:59.9Z", "2026-01-29T00:00:00.0Z"]
SECONDS = ["2026-01-15T02:10:19Z", "2031-12-31T23:59:59Z", "2026-01-29T00:00:00Z"]
# As long as those, and no time, or not in their form.
ODD: list[Any] = [
    "2026-02-30T02:10:19.0Z", "2026-01-15T24:00:00.0Z", "2026-01-15 02:10:19.0Z",
    "2026-01-15T02:10:19,0Z", "2026-01-15T02:10:19.07", "1946-01-15T02:10:19.0Z",
    "2026-01-15T02:10:1\u0663.0Z", "2026-W03-4T02:10:19.0Z", "2026-01-15T24:00:00Z",
    "2026-02-30T02:10:19Z", "20260115T021019.000Z", "2026-01-15T02:10:19.00Z",
    "2026-01-15T02:10:19.Z", "\n", f"{SECONDS[0]}\n{SECONDS[0]}", "", None, 7, [],
]  # fmt: skip


@given(
    st.lists(st.sampled_from(TENTHS)), st.lists(st.sampled_from(SECONDS)),
    st.lists(st.sampled_from(ODD), max_size=2), st.randoms(),
)  # fmt: skip
def test_times_read_together_are_those_read_one_by_one(
    tenths: list[Any], seconds: list[Any], odd: list[Any], rng: Any
) -> None:
    for values in (tenths, seconds, tenths + odd, seconds + odd, tenths + seconds):
        rng.shuffle(values)
        assert stamps(values) == [stamp(value) for value in values]


def test_what_is_known_is_bounded() -> None:
    known = Known(str.strip)
    for number in range(10_000):
        assert known[f"{number} "] == str(number)
    assert known["x" * 10**6] == "x" * 10**6
    assert len(known) < 5_000
    assert all(len(text) < 50 for text in known)


@st.composite
def said_times(draw: st.DrawFn) -> tuple[int, str]:
    """A moment in tenths of a second, and one of the forms in which a feed may write it."""
    tenths = draw(st.integers(10**10, 4 * 10**10))  # from 2001 to 2096
    moment = datetime.fromtimestamp(tenths // 10, UTC) + timedelta(milliseconds=tenths % 10 * 100)
    offset = timezone(timedelta(minutes=draw(st.integers(-720, 840))))
    form = draw(st.sampled_from(["feed", "offset", "naive", "long"]))
    if form == "feed":
        return tenths, f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 100_000}Z"
    if form == "offset":
        return tenths, moment.astimezone(offset).isoformat()
    if form == "naive":
        return tenths, moment.replace(tzinfo=None).isoformat()
    return tenths, moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(said_times(), said_times())
def test_times_of_any_form_are_in_the_order_of_their_moments(
    one: tuple[int, str], two: tuple[int, str]
) -> None:
    texts = stamp(one[1]), stamp(two[1])
    assert all(texts)
    assert (texts[0] < texts[1]) == (one[0] < two[0])
    assert (texts[0] == texts[1]) == (one[0] == two[0])
    assert texts[0] == stamp_of(one[0] / 10 + 0.05)


@pytest.mark.parametrize("seconds", [-6.2e10, 2.5e11, 1e300])
def test_a_date_in_which_no_game_can_be_is_none(seconds: float) -> None:
    assert stamp_of(seconds) == ""


@pytest.mark.parametrize(
    "value",
    [
        "~~~~~~~~~~T~~~~~~~~~~Z",
        "9999-12-31T23:59:59.9Z",
        "2026-01-15T02:10:1\u0663.0Z",
        7,
        None,
        "",
    ],
)
def test_a_time_that_is_none_is_never_the_newest(value: Any) -> None:
    assert stamp(value) == ""


def test_what_is_too_long_for_a_time_is_not_kept() -> None:
    kept = _utc_or_none.cache_info().misses
    assert utc_or_none("2" * 10**6) is None
    assert _utc_or_none.cache_info().misses == kept
