"""Teams and players: what the feed leaves unsaid, from nba_api's own lists."""

from __future__ import annotations

import pytest
from nba_api.stats.static import players

from nbad.domain import Listing, Play, Status, Team
from nbad.feed.decode import BadData
from nbad.feed.names import Names
from nbad.feed.scoreboard import parse_team

BOSTON, UNKNOWN = 1610612738, 42
LINE = Listing(
    "0022500001", Status.LIVE, 1, 600.0, "2026-01-15T00:00:00Z",
    Team(BOSTON, "BOS", "BOS"), Team(UNKNOWN, "ZZZ", "ZZZ"), 0, 0,
)  # fmt: skip
PLAY = Play(1, 1, 1, 600.0, 0, 0, "2pt", "", 0, 0, "", "", "", 2544, "L. James")


def test_a_player_has_his_full_name() -> None:
    assert Names().player(PLAY) == "LeBron James"


def test_one_nba_api_does_not_know_keeps_the_feeds_name() -> None:
    assert Names().player(PLAY._replace(person_id=10**9)) == "L. James"


def test_nobody_is_nobody() -> None:
    assert Names().player(PLAY._replace(person_id=0, player="")) == ""


def test_only_a_name_that_is_missing_is_filled_in() -> None:
    named = Names().named(LINE)
    assert named.home.name == "Boston Celtics"
    assert named.away == LINE.away
    said = LINE._replace(home=Team(BOSTON, "BOS", "Celtics of Boston"))
    assert Names().named(said) is said


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"teamId": BOSTON}, Team(BOSTON, "BOS", "BOS")),
        ({"teamId": None, "teamTricode": "BOS"}, Team(BOSTON, "BOS", "BOS")),
        ({"teamId": BOSTON, "teamTricode": 7, "teamCity": "Boston"}, Team(BOSTON, "BOS", "Boston")),
        ({"teamId": 0, "teamTricode": "TBD", "teamName": "TBD"}, Team(0, "TBD", "TBD")),
        ({"teamId": 15018, "teamTricode": ""}, Team(15018, "15018", "15018")),
        ({"teamId": 15018, "teamName": "Flamengo"}, Team(15018, "15018", "Flamengo")),
    ],
)
def test_half_of_its_name_names_a_team(said: dict[str, object], read: Team) -> None:
    assert parse_team(said) == read


@pytest.mark.parametrize(
    "said", [{"teamId": 0}, {"teamId": "", "teamTricode": ""}, {}, [], "BOS",
             {"teamTricode": "("}, {"teamTricode": "."}, {"teamTricode": "B.S"}],
)  # fmt: skip
def test_a_team_that_nobody_names_is_none(said: object) -> None:
    with pytest.raises(BadData):
        parse_team(said)


def test_the_list_is_walked_once_a_day_and_what_is_kept_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walked, now = [], 0.0

    def find(person_id: int) -> None:
        walked.append(person_id)

    monkeypatch.setattr(players, "find_player_by_id", find)
    names = Names(clock=lambda: now)
    names.player(PLAY)
    names.player(PLAY)
    assert walked == [2544]
    now = 86_401.0
    names.player(PLAY)
    assert walked == [2544, 2544]
    for person_id in range(1, 3000):
        names.player(PLAY._replace(person_id=person_id))
    walked.clear()
    names.player(PLAY._replace(person_id=1))
    assert walked == [1]
