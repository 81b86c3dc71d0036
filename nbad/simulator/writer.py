"""Events written down as the feed's actions, with their running totals."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from nbad.simulator.events import At, Event
from nbad.simulator.game_info import Action, GameInfo, clock_text, utc_text
from nbad.simulator.league import Player

_OFFICIALS = (2534, 202007, 202053)


class Writer:
    """Writes a game's events in their order: scores and personal totals run along.

    ``tip`` is the moment of tip-off in seconds since the epoch.
    """

    def __init__(self, info: GameInfo, tip: float) -> None:
        self._info = info
        self._tip = tip
        self._people = {player.person_id: player for club in info.clubs for player in club.players}
        self._score = [0, 0]
        self._totals: Counter[tuple[str, int]] = Counter()

    def write(self, event: Event, number: int, order: int, edited: float, shot: int) -> Action:
        """The action of the next event; ``shot`` is the number of the shot that it belongs to."""
        info = self._info
        action: Action = {
            "actionNumber": number,
            "clock": clock_text(event.clock),
            "timeActual": utc_text(self._tip + event.wall, tenths=True),
            "period": event.period,
            "periodType": "REGULAR" if event.period <= 4 else "OVERTIME",
        }
        if event.side is not None:
            club = info.clubs[event.side]
            action["teamId"] = club.team_id
            action["teamTricode"] = club.tricode
            self._score[event.side] += event.points
        action["actionType"] = event.kind
        if event.sub:
            action["subType"] = event.sub
        if event.descriptor:
            action["descriptor"] = event.descriptor
        action |= {
            "qualifiers": list(event.qualifiers),
            "personId": 0 if event.kind == "jumpball" else event.person,
            **_spot(event),
            "possession": 0 if event.ball is None else info.clubs[event.ball].team_id,
            "scoreHome": str(self._score[At.HOME]),
            "scoreAway": str(self._score[At.AWAY]),
            "edited": utc_text(edited),
            "orderNumber": order,
            "isFieldGoal": int(event.kind in ("2pt", "3pt")),
        }
        called = event.kind == "turnover" and event.sub in ("traveling", "out-of-bounds")
        if called or event.kind == "foul":
            action["officialId"] = _OFFICIALS[number % len(_OFFICIALS)]
        people = [person for person in (event.person, event.other) if person]
        player = self._people.get(event.person)
        action |= self._details(event, player, self._people.get(event.other), shot)
        if player is not None and event.kind != "jumpball":
            action["playerName"] = player.family
            action["playerNameI"] = player.short
        action["personIdsFilter"] = people
        return action

    def _count(self, what: str, person: int, by: int = 1) -> int:
        self._totals[what, person] += by
        return self._totals[what, person]

    def _details(
        self, event: Event, player: Player | None, other: Player | None, shot: int
    ) -> dict[str, Any]:
        """What is particular to this kind of action, its description among it."""
        match event.kind:
            case "2pt" | "3pt" | "freethrow":
                return self._shot(event, player, other)
            case "rebound":
                return self._rebound(event, player, shot)
            case "turnover":
                return self._turnover(event, player, other)
            case "foul":
                return self._foul(event, player, other)
            case "steal" if player is not None:
                total = self._count("steals", player.person_id)
                return {"description": f"{player.short} STEAL ({total} STL)"}
            case "block" if player is not None:
                total = self._count("blocks", player.person_id)
                return {"description": f"{player.short} BLOCK ({total} BLK)"}
            case "substitution" if player is not None:
                return {"description": f"SUB {event.sub}: {player.short}"}
            case "jumpball" if player is not None and other is not None:
                return self._jump_ball(event, player, other)
            case "timeout" if event.side is not None:
                return {"description": f"{self._info.clubs[event.side].tricode} Timeout"}
            case "period" | "game":
                return {"description": f"{event.kind.title()} {event.sub.title()}"}
            case _:
                return {}

    def _shot(self, event: Event, player: Player | None, other: Player | None) -> dict[str, Any]:
        assert player is not None
        details: dict[str, Any] = {"shotResult": "Made" if event.made else "Missed"}
        if event.kind == "freethrow":
            technical = "Technical " if event.descriptor == "technical" else ""
            what = f"Free Throw {technical}{event.sub}"
        else:
            feet = f"{int(event.place[0])}' " if event.place and event.place[0] > 5 else ""
            kind = "3PT" if event.kind == "3pt" else event.sub
            style = f"{event.descriptor} " if event.descriptor else ""
            what = f"{feet}{style}{kind}"
        if not event.made:
            if other is not None and event.kind == "2pt":
                details |= {"blockPlayerName": other.family, "blockPersonId": other.person_id}
            return details | {"description": f"MISS {player.short} {what}"}
        details["pointsTotal"] = self._count("points", player.person_id, event.points)
        text = f"{player.short} {what} ({details['pointsTotal']} PTS)"
        if other is not None:
            total = self._count("assists", other.person_id)
            details |= {
                "assistPlayerNameInitial": other.short,
                "assistPersonId": other.person_id,
                "assistTotal": total,
            }
            text += f" ({other.short} {total} AST)"
        return details | {"description": text}

    def _rebound(self, event: Event, player: Player | None, shot: int) -> dict[str, Any]:
        details: dict[str, Any] = {"shotActionNumber": shot}
        if player is None:
            return details | {"description": f"TEAM {event.sub} REBOUND"}
        self._count(event.sub, player.person_id)
        offensive = self._totals["offensive", player.person_id]
        defensive = self._totals["defensive", player.person_id]
        return details | {
            "reboundTotal": offensive + defensive,
            "reboundDefensiveTotal": defensive,
            "reboundOffensiveTotal": offensive,
            "description": f"{player.short} REBOUND (Off:{offensive} Def:{defensive})",
        }

    def _turnover(
        self, event: Event, player: Player | None, thief: Player | None
    ) -> dict[str, Any]:
        assert player is not None
        total = self._count("turnovers", player.person_id)
        text = f"{player.short} {event.sub} TURNOVER ({total} TO)"
        details: dict[str, Any] = {"turnoverTotal": total, "description": text}
        if thief is not None:
            details |= {"stealPlayerName": thief.family, "stealPersonId": thief.person_id}
        return details

    def _foul(self, event: Event, player: Player | None, drawn: Player | None) -> dict[str, Any]:
        assert player is not None
        technical = event.sub == "technical"
        self._count("technicals" if technical else "fouls", player.person_id)
        fouls = self._totals["fouls", player.person_id]
        technicals = self._totals["technicals", player.person_id]
        style = f"{event.descriptor} " if event.descriptor else ""
        mark = f"({technicals} TF)" if technical else f"({fouls} PF)"
        text = f"{player.short} {style}{event.sub} FOUL {mark}"
        details: dict[str, Any] = {
            "foulPersonalTotal": fouls,
            "foulTechnicalTotal": technicals,
        }
        if drawn is not None:
            details |= {
                "foulDrawnPlayerName": drawn.family,
                "foulDrawnPersonId": drawn.person_id,
            }
            shots = next((mark[0] for mark in event.qualifiers if mark.endswith("freethrow")), "")
            text += f" ({drawn.family} {shots} FT)" if shots else ""
        return details | {"description": text}

    def _jump_ball(self, event: Event, winner: Player, loser: Player) -> dict[str, Any]:
        assert event.side is not None
        team = f"Team ({self._info.clubs[event.side].tricode})"
        return {
            "jumpBallRecoveredName": team,
            "jumpBallWonPlayerName": winner.family,
            "jumpBallWonPersonId": winner.person_id,
            "jumpBallLostPlayerName": loser.family,
            "jumpBallLostPersonId": loser.person_id,
            "description": f"Jump Ball {winner.short} vs. {loser.short}: Tip to {team}",
        }


def _spot(event: Event) -> dict[str, Any]:
    """Where on the court: percent of its length and width, and tenths of feet from the basket."""
    if event.place is None or event.side is None:
        return {"x": None, "y": None, "side": None, "xLegacy": None, "yLegacy": None}
    feet, angle = event.place
    out = feet * math.cos(math.radians(angle))
    across = feet * math.sin(math.radians(angle))
    # The court is 94 by 50 feet, the basket 5.25 from the baseline; sides change at half-time.
    x = (5.25 + out) / 94 * 100
    y = (25 + across) / 50 * 100
    right = (event.side is At.HOME) == (event.period <= 2)
    return {
        "x": 100 - x if right else x,
        "y": 100 - y if right else y,
        "side": "right" if right else "left",
        "shotDistance": feet,
        "xLegacy": round(across * 10),
        "yLegacy": round(out * 10),
    }
