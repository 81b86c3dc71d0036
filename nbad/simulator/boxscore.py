"""The box score, folded from a game's plays."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from nbad.simulator import rates
from nbad.simulator.game_info import (
    EASTERN,
    Action,
    GameInfo,
    clock_seconds,
    moment_of,
    utc_text,
)
from nbad.simulator.league import Club, Player
from nbad.simulator.standing import FINAL, LIVE, Standing, standing
from nbad.simulator.tally import Tally, points_of

_MARKS = {
    "fastbreak": "FastBreak",
    "pointsinthepaint": "InThePaint",
    "2ndchance": "SecondChance",
    "fromturnover": "FromTurnovers",
}


def box_score(info: GameInfo, actions: list[Action]) -> dict[str, Any]:
    """The ``game`` of the box score after ``actions``, which are in order and at least one."""
    fold = _Fold(info)
    tally = Tally(info)
    for action in actions:
        fold.add(action)
        tally.apply(action, 1)
    now = standing(info, actions[-1])
    local = datetime.fromtimestamp(info.scheduled, EASTERN).isoformat()
    begun, latest = (moment_of(actions[end]["timeActual"]) for end in (0, -1))
    return {
        "gameId": info.game_id,
        "gameTimeLocal": local,
        "gameTimeUTC": utc_text(info.scheduled),
        "gameTimeHome": local,
        "gameTimeAway": local,
        "gameEt": local,
        "duration": int(timedelta(seconds=latest - begun).total_seconds() // 60),
        "gameCode": info.code,
        "gameStatusText": now.text,
        "gameStatus": now.status,
        "regulationPeriods": 4,
        "period": now.period,
        "gameClock": str(actions[-1]["clock"]),
        "attendance": 0,
        "sellout": "0",
        **_house(info.home),
        **info.extra,
        "homeTeam": _team(info.home, now, now.home, fold, tally),
        "awayTeam": _team(info.away, now, now.away, fold, tally),
    }


def _house(club: Club) -> dict[str, Any]:
    return {
        "arena": {
            "arenaId": club.team_id % 1000,
            "arenaName": f"{club.city} Arena",
            "arenaCity": club.city,
            "arenaState": "",
            "arenaCountry": "US",
            "arenaTimezone": "America/New_York",
        },
        "officials": [],
    }


class _Fold:
    """Everything counted: by person, by team (its own id), in order of play."""

    def __init__(self, info: GameInfo) -> None:
        self.counts: dict[int, Counter[str]] = {
            key: Counter()
            for club in info.clubs
            for key in (club.team_id, *(player.person_id for player in club.players))
        }
        self.on = {
            club.team_id: [player.person_id for player in club.players if player.position]
            for club in info.clubs
        }
        self.played = {person for court in self.on.values() for person in court}
        self.seconds: Counter[int] = Counter()
        self.leading: Counter[int] = Counter()
        self.run = (0, 0)  # whose, how many
        self.best: dict[int, dict[str, tuple[int, str]]] = {
            club.team_id: {"lead": (0, ""), "run": (0, "")} for club in info.clubs
        }
        self._teams = (info.home.team_id, info.away.team_id)
        self._elapsed = 0.0
        self._tenths: Counter[int] = Counter()
        self._score = (0, 0)
        self._shots: dict[int, Action] = {}
        self.lead_changes = self.ties = 0
        self._leader = 0

    def _clock(self, action: Action) -> None:
        elapsed = rates.elapsed_s(action["period"], clock_seconds(action["clock"]))
        # Plays put in late may lie a little before the last one: time never runs back.
        step = max(0, round((elapsed - self._elapsed) * 10))
        self._elapsed = max(self._elapsed, elapsed)
        for court in self.on.values():
            for person in court:
                self._tenths[person] += step
                self.seconds[person] = self._tenths[person] // 10
        if ahead := self._ahead():
            self.leading[ahead] += step

    def _ahead(self) -> int:
        home, away = self._score
        return 0 if home == away else self._teams[home < away]

    def _scored(self, team: int, action: Action) -> None:
        points = points_of(action)
        home, away = int(action["scoreHome"]), int(action["scoreAway"])
        self._score = (home, away)
        text = f"{away}-{home}"
        for side in self._teams:
            sign = "plus" if side == team else "minus"
            for person in self.on[side]:
                self.counts[person][sign] += points
        lead = abs(home - away)
        if (ahead := self._ahead()) and lead > self.best[ahead]["lead"][0]:
            self.best[ahead]["lead"] = (lead, text)
        if not ahead:
            self.ties += 1
        elif self._leader and ahead != self._leader:
            self.lead_changes += 1
        self._leader = ahead or self._leader
        whose, run = self.run
        self.run = (team, run + points if whose == team else points)
        if self.run[1] > self.best[team]["run"][0]:
            self.best[team]["run"] = (self.run[1], text)

    def add(self, action: Action) -> None:
        """Count the next play."""
        self._clock(action)
        kind, sub, person = action["actionType"], action.get("subType", ""), action["personId"]
        team = action.get("teamId", 0)
        if team not in self.on:
            return
        own = [self.counts[team]]
        if person in self.counts:
            own.append(self.counts[person])
        match kind:
            case "2pt" | "3pt" | "freethrow":
                self._shot(team, own, action)
            case "rebound":
                whose = "" if person else "Team"
                place = "Offensive" if sub == "offensive" else "Defensive"
                _count(own, f"rebounds{whose}{place}")
            case "turnover":
                _count(own, "turnovers" if person else "turnoversTeam")
            case "steal" | "block":
                _count(own, f"{kind}s")
            case "foul":
                self._foul(team, own, action)
            case "substitution":
                court = self.on[team]
                if sub == "out" and person in court:
                    court.remove(person)
                elif sub == "in" and person not in court:
                    court.append(person)
                    self.played.add(person)

    def _shot(self, team: int, own: list[Counter[str]], action: Action) -> None:
        kind, made = action["actionType"], action["shotResult"] == "Made"
        what = {"2pt": "twoPointers", "3pt": "threePointers", "freethrow": "freeThrows"}[kind]
        names = [what] if kind == "freethrow" else [what, "fieldGoals"]
        marks = [_MARKS[mark] for mark in action["qualifiers"] if mark in _MARKS]
        for counts in own:
            for name in names:
                counts[f"{name}Attempted"] += 1
                counts[f"{name}Made"] += made
            counts["points"] += points_of(action)
            for mark in marks:
                counts[f"points{mark}"] += points_of(action)
                counts[f"tries{mark}"] += kind != "freethrow"
                counts[f"hits{mark}"] += made and kind != "freethrow"
        if made and (assistant := self.counts.get(action.get("assistPersonId", 0))) is not None:
            assistant["assists"] += 1
            self.counts[team]["assists"] += 1
        if action.get("blockPersonId"):
            _count(own, "blocksReceived")
        if made:
            self._scored(team, action)

    def _foul(self, team: int, own: list[Counter[str]], action: Action) -> None:
        sub = action.get("subType", "")
        _count(own, "foulsTechnical" if sub == "technical" else "foulsPersonal")
        if sub == "offensive":
            _count(own, "foulsOffensive")
        if sub == "personal":
            self.counts[team]["foulsTeam"] += 1
        drawn = action.get("foulDrawnPersonId", 0)
        if drawn in self.counts:
            self.counts[drawn]["foulsDrawn"] += 1
            self.counts[self._teams[team == self._teams[0]]]["foulsDrawn"] += 1


def _count(own: list[Counter[str]], what: str) -> None:
    """Count one for the team, and for the player if there is one."""
    for counts in own:
        counts[what] += 1


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _minutes(seconds: int) -> str:
    return f"PT{seconds // 60:02d}M{seconds % 60:02d}.00S"


def _shared(counts: Counter[str]) -> dict[str, Any]:
    """The statistics that a player and a team have alike."""
    shares: dict[str, Any] = {}
    for name in ("fieldGoals", "threePointers", "twoPointers", "freeThrows"):
        made, tried = counts[f"{name}Made"], counts[f"{name}Attempted"]
        shares |= {
            f"{name}Attempted": tried,
            f"{name}Made": made,
            f"{name}Percentage": _ratio(made, tried),
        }
    plain = (
        *("assists", "blocks", "blocksReceived", "foulsOffensive", "foulsDrawn", "foulsPersonal"),
        *("foulsTechnical", "points", "pointsFastBreak", "pointsInThePaint", "pointsSecondChance"),
        *("reboundsDefensive", "reboundsOffensive", "steals", "turnovers"),
    )
    return shares | {name: counts[name] for name in plain}


def _player(player: Player, order: int, fold: _Fold, info_on: list[int]) -> dict[str, Any]:
    counts, seconds = fold.counts[player.person_id], fold.seconds[player.person_id]
    out: dict[str, Any] = {"status": "INACTIVE" if player.reason else "ACTIVE"}
    if player.reason:
        out["notPlayingReason"] = player.reason
    out |= {"order": order, "personId": player.person_id, "jerseyNum": player.jersey}
    if player.position:
        out["position"] = player.position
    statistics = _shared(counts) | {
        "minus": float(counts["minus"]),
        "plus": float(counts["plus"]),
        "plusMinusPoints": float(counts["plus"] - counts["minus"]),
        "minutes": _minutes(seconds),
        "minutesCalculated": f"PT{(seconds + 29) // 60:02d}M",
        "reboundsTotal": counts["reboundsDefensive"] + counts["reboundsOffensive"],
    }
    return out | {
        "starter": "1" if player.position else "0",
        "oncourt": "1" if player.person_id in info_on else "0",
        "played": "1" if player.person_id in fold.played else "0",
        "statistics": dict(sorted(statistics.items())),
        "name": player.name,
        "nameI": player.short,
        "firstName": player.first,
        "familyName": player.family,
    }


def _team(club: Club, now: Standing, score: int, fold: _Fold, tally: Tally) -> dict[str, Any]:
    bonus = now.status in (LIVE, FINAL) and tally.in_bonus(club.team_id, now.period)
    return {
        **club.identity,
        "score": score,
        "inBonus": "1" if bonus else "0",
        "timeoutsRemaining": tally.timeouts_left(club.team_id),
        "periods": tally.periods(club.team_id, now.period),
        "players": [
            _player(player, order, fold, fold.on[club.team_id])
            for order, player in enumerate(club.players, 1)
        ],
        "statistics": _team_statistics(club, now, score, fold),
    }


def _team_statistics(club: Club, now: Standing, score: int, fold: _Fold) -> dict[str, Any]:
    counts = fold.counts[club.team_id]
    made, tried = counts["fieldGoalsMade"], counts["fieldGoalsAttempted"]
    true_tries = tried + 0.44 * counts["freeThrowsAttempted"]
    personal = counts["reboundsDefensive"] + counts["reboundsOffensive"]
    team = counts["reboundsTeamDefensive"] + counts["reboundsTeamOffensive"]
    lead, run = fold.best[club.team_id]["lead"], fold.best[club.team_id]["run"]
    seconds = sum(fold.seconds[player.person_id] for player in club.players)
    leading = fold.leading[club.team_id] // 10
    statistics = _shared(counts) | {
        "assistsTurnoverRatio": _ratio(counts["assists"], counts["turnovers"]),
        "benchPoints": sum(
            fold.counts[player.person_id]["points"]
            for player in club.players
            if not player.position
        ),
        "biggestLead": lead[0],
        "biggestLeadScore": lead[1],
        "biggestScoringRun": run[0],
        "biggestScoringRunScore": run[1],
        "fieldGoalsEffectiveAdjusted": _ratio(made + 0.5 * counts["threePointersMade"], tried),
        "foulsTeam": counts["foulsTeam"],
        "foulsTeamTechnical": 0,
        "leadChanges": fold.lead_changes,
        "minutes": _minutes(seconds),
        "minutesCalculated": f"PT{round(seconds / 60)}M",
        "pointsAgainst": now.home + now.away - score,
        "pointsFromTurnovers": counts["pointsFromTurnovers"],
        "reboundsPersonal": personal,
        "reboundsTeam": team,
        "reboundsTeamDefensive": counts["reboundsTeamDefensive"],
        "reboundsTeamOffensive": counts["reboundsTeamOffensive"],
        "reboundsTotal": personal + team,
        "timeLeading": _minutes(leading),
        "timesTied": fold.ties,
        "trueShootingAttempts": true_tries,
        "trueShootingPercentage": _ratio(score, 2 * true_tries),
        "turnoversTeam": counts["turnoversTeam"],
        "turnoversTotal": counts["turnovers"] + counts["turnoversTeam"],
    }
    for name, mark in (
        ("fastBreakPoints", "FastBreak"),
        ("pointsInThePaint", "InThePaint"),
        ("secondChancePoints", "SecondChance"),
    ):
        hits, tries = counts[f"hits{mark}"], counts[f"tries{mark}"]
        statistics |= {
            f"{name}Attempted": tries,
            f"{name}Made": hits,
            f"{name}Percentage": _ratio(hits, tries),
        }
    return dict(sorted(statistics.items()))
