"""The feed's odds become what the market expects; what is absurd or broken costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nba_api.live.nba.endpoints import Odds

from nbad.feed.decode import BadData
from nbad.feed.odds import parse_odds
from nbad.pattern.market import Line, blend
from nbad.pattern.rating import Expectation

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "live" / "odds_todaysGames_sample.json"
GAME = "0022400913"


def book(home: Any, away: Any, spread: Any = None) -> dict[str, Any]:
    """One book's two prices, in the feed's form; ``spread`` is the home side's handicap."""
    outcomes = [
        {"odds_field_id": number, "type": side, "odds": price, "opening_odds": price,
         "odds_trend": "up"}
        | ({} if spread is None else {"spread": handicap, "opening_spread": handicap})
        for number, side, price, handicap in (
            (1, "home", home, spread), (2, "away", away, spread and str(-float(spread))),
        )
    ]  # fmt: skip
    return {"id": "b", "name": "Book", "outcomes": outcomes, "url": "", "countryCode": "US"}


def odds(*markets: tuple[str, list[Any]], **others: Any) -> bytes:
    told = [
        {"name": name, "odds_type_id": 1, "group_name": "regular", "books": books}
        for name, books in markets
    ]
    return orjson.dumps({"games": [{"gameId": GAME, "markets": told} | others]})


def line(*markets: tuple[str, list[Any]]) -> Line:
    return parse_odds(odds(*markets))[GAME]


def test_the_documents_shape_is_nba_apis() -> None:
    """What is read of it is in nba_api's class; its document without a price says nothing."""
    expected = Odds.expected_data
    (market,) = expected["games"][0]["markets"]
    (told,) = market["books"]
    assert {"gameId", "markets"} <= expected["games"][0].keys()
    assert {"name", "books"} <= market.keys()
    assert {"type", "odds", "spread"} <= told["outcomes"][0].keys()
    assert parse_odds(orjson.dumps(expected)) == {}
    ours = orjson.loads(odds(("spread", [book("1.9", "1.9", "-4.5")])))["games"][0]["markets"][0]
    assert ours.keys() == market.keys()
    assert ours["books"][0].keys() == told.keys()
    assert ours["books"][0]["outcomes"][0].keys() == told["outcomes"][0].keys()


def test_a_real_document() -> None:
    if not SAMPLE.exists():
        pytest.skip("no ../shared/data")
    told = parse_odds(SAMPLE.read_bytes())
    # 1.37 against 3.22: 70 % for the home side, some 7 points.
    assert 6 < told[GAME].margin < 8
    assert told[GAME].total is None


def test_a_price_is_freed_of_the_books_margin() -> None:
    assert line(("2way", [book("1.9", "1.9")])).margin == 0
    fair, taxed = (line(("2way", [book(1.5 / by, 3.0 / by)])).margin for by in (1.0, 1.06))
    assert fair == pytest.approx(taxed)
    assert line(("2way", [book("1.4", "3.0")])).margin == pytest.approx(
        -line(("2way", [book("3.0", "1.4")])).margin
    )


def test_a_spread_says_the_margin_and_its_prices_which_side_of_it() -> None:
    assert line(("spread", [book("1.9", "1.9", "-6.5")])).margin == 6.5
    assert line(("spread", [book("1.8", "2.0", "-6.5")])).margin > 6.5
    both = line(("spread", [book("1.9", "1.9", "-6.5")]), ("2way", [book("1.9", "1.9")]))
    assert both.margin == 3.25
    assert both.doubt > 3


def test_one_book_that_is_mad_moves_nothing_much() -> None:
    books = [book("1.9", "1.9", str(spread)) for spread in (-6.5, -6.0, -7.0, 40.0)]
    assert -7 < -line(("spread", books)).margin < -6


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"<html>", b"[]", b"{}", b'{"games":null}', b'{"games":7}',
    ],
)  # fmt: skip
def test_another_document_is_bad_data(broken: bytes) -> None:
    with pytest.raises(BadData):
        parse_odds(broken)


@pytest.mark.parametrize(
    "body",
    [
        odds(),
        odds(("2way", [])),
        odds(("2way", [book("", None)])),
        odds(("2way", [book("0.5", "nan")])),
        odds(("2way", [book("1e999", "1.5")])),
        odds(("2way", [book(True, "1.5")])),
        odds(("spread", [book("1.9", "1.9")])),
        odds(("spread", [book("1.9", "1.9", "900")])),
        odds(("2way", [{"outcomes": [1, None]}, None])),
        odds(("total", [book("1.9", "1.9", "220")])),
        odds(("2way", [book("1.9", "1.9")]), gameId="x"),
    ],
)
def test_what_cannot_be_read_is_left_out(body: bytes) -> None:
    assert parse_odds(body) == {}


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-9, 9) | st.text(max_size=4)
    | st.sampled_from(["home", "away", "2way", "spread", "1.9", "-3.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "books", "outcomes", "type", "odds", "spread"]), inner, max_size=4
    ),
    max_leaves=12,
))  # fmt: skip
def test_no_document_breaks_more_than_itself(anything: Any) -> None:
    document = {"games": [
        {"gameId": "0022400001", "markets": anything}, anything,
        {"gameId": GAME, "markets": [{"name": "2way", "books": [book("1.9", "1.9")]}]},
    ]}  # fmt: skip
    assert parse_odds(orjson.dumps(document))[GAME] == Line(0.0, None, 0.0)


def test_what_is_expected_leans_on_the_market_where_there_is_one() -> None:
    rated = Expectation(4.0, 220.0, 6.0)
    assert blend(rated, None) is rated
    assert blend(rated, Line(90.0)) is rated
    assert blend(rated, Line(4.0, 20.0)) is rated
    both = blend(rated, Line(-5.0, 230.0))
    assert both.basis == "both"
    assert -5 < both.margin < 0
    assert 225 < both.total < 230
    assert both.margin_sd < rated.margin_sd
    assert blend(rated, Line(-5.0)).total == rated.total
    # Books that disagree know less.
    assert blend(rated, Line(-5.0, doubt=3.0)).margin_sd > both.margin_sd
