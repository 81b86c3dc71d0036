"""The stream's messages as JSON, made and taken apart. Pure.

A game is serialised once per tick; everything that holds it splices those bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from nbad.domain import BoardEntry, Forecast, Game, Market, Play, Point, Swing, Team
from nbad.pattern.clock import elapsed_s

PROTOCOL = "nbad.v1"

Row = list[Any]
"""One row of a forecast series or of a game's scoring."""


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with microseconds."""
    fraction, whole = math.modf(seconds)
    second, micros = divmod(int(whole) * 1_000_000 + round(fraction * 1e6), 1_000_000)
    return f"{_second(second)}.{micros:06}Z"


@lru_cache(maxsize=16)  # the games of a tick came within one or two
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def game_message(game: Game) -> dict[str, Any]:
    """The game message of the contract, without its series."""
    update = game.update
    line, plays = update.entry, update.plays
    message = {
        "game_id": line.game_id,
        "status": line.status._value_,  # `value` takes ten times as long in Python 3.11
        "period": line.period,
        "clock_s": line.clock_s,
        "start_utc": line.start_utc,
        "home": _side(line.home, line.home_score),
        "away": _side(line.away, line.away_score),
        "differential": line.home_score - line.away_score,
        "pattern": game.grid,
        "forecast": _forecast(game.forecast),
        "event": _event(plays[-1], update.player) if plays else None,
        "corrected": update.corrected,
        "source_time": update.source_time or None,
        "received_at": rfc3339(update.received_at),
    }
    if game.market is not None:  # `[odds] show` asks for it
        message["market"] = _market(game.market)
    return message


def encode_game(game: Game) -> bytes:
    """The game message as JSON."""
    return orjson.dumps(game_message(game))


def as_corrected(message: bytes) -> bytes:
    """``message`` (from :func:`encode_game`), saying that it takes back something told before."""
    return orjson.dumps(orjson.loads(message) | {"corrected": True})


def encode_series(series: Iterable[Point]) -> bytes:
    """The forecast series: a list of [elapsed_s, home_win, margin p10, p50, p90, total p50]."""
    return orjson.dumps(series_rows(series))


def series_rows(series: Iterable[Point]) -> list[Row]:
    """The rows of a forecast series."""
    return [
        [
            _short(point.elapsed_s),
            point.forecast.home_win,
            point.forecast.margin.p10,
            point.forecast.margin.p50,
            point.forecast.margin.p90,
            point.forecast.total.p50,
        ]
        for point in series
    ]


def encode_scoring(plays: Iterable[Play]) -> bytes:
    """The plays that changed the score: a list of [elapsed_s, home, away, description]."""
    return orjson.dumps(scoring_rows(plays))


def scoring_rows(plays: Iterable[Play], before: tuple[int, int] = (0, 0)) -> list[Row]:
    """The rows of the plays that changed the score, which was ``before`` when they began."""
    rows: list[Row] = []
    for play in plays:
        if (play.home, play.away) != before:
            before = (play.home, play.away)
            at = _short(elapsed_s(play.period, play.clock_s))
            rows.append([at, play.home, play.away, play.description])
    return rows


PLAY_COLUMNS = (
    "number", "elapsed_s", "period", "clock_s", "home", "away", "team", "player", "kind",
    "description", "home_win", "swing", "margin_p10", "margin_p50", "margin_p90", "total_p10",
    "total_p50", "total_p90",
)  # fmt: skip


def play_rows(entry: BoardEntry, swings: Iterable[Swing]) -> list[tuple[Any, ...]]:
    """A row of :data:`PLAY_COLUMNS` for each play.

    The forecast is that after the play, ``swing`` what the play itself added to ``home_win``.
    """
    tricodes = {team.team_id: team.tricode for team in (entry.home, entry.away)}
    return [
        (
            play.number, _short(at), play.period, _short(play.clock_s), play.home, play.away,
            tricodes.get(play.team_id), play.player or None, play.kind, play.description,
            forecast.home_win, round(forecast.home_win - before, 5),
            *forecast.margin, *forecast.total,
        )
        for play, at, before, forecast in swings
    ]  # fmt: skip


def encode_plays(game_id: str, rows: Iterable[Sequence[Any]]) -> bytes:
    """The plays of a game as JSON: ``columns`` and, for each play, a row of them."""
    return orjson.dumps({"game_id": game_id, "columns": PLAY_COLUMNS, "plays": list(rows)})


def with_scoring(whole: bytes, scoring: bytes) -> bytes:
    """A whole game (from :func:`with_series`) and its ``scoring``."""
    return b"".join((whole[:-1], b',"scoring":', scoring, b"}"))


def with_series(message: bytes, series: bytes) -> bytes:
    """A whole game for a snapshot: ``message`` (from :func:`encode_game`) and its ``series``."""
    return b"".join((message[:-1], b',"series":', series, b"}"))


def without_series(whole: bytes) -> bytes:
    """The message in a whole game (from :func:`with_series`), byte for byte."""
    # Behind it come numbers only, so the last one is the key.
    at = whole.rfind(b',"series":')
    return whole if at < 0 else whole[:at] + b"}"


def encode_batch(
    epoch: str,
    seq: int,
    tick: int,
    messages: Iterable[bytes],
    timing_ms: Mapping[str, float],
    conflated: int = 0,
) -> bytes:
    """A batch; ``conflated`` is how many batches it stands for, left out where it is just one."""
    batch: dict[str, Any] = {
        "type": "batch",
        "epoch": epoch,
        "seq": seq,
        "tick": tick,
        "messages": list(map(orjson.Fragment, messages)),
        "timing_ms": dict(timing_ms),
    }
    if conflated:
        batch["conflated"] = conflated
    return orjson.dumps(batch)


def encode_snapshot(
    epoch: str, seq: int, games: Iterable[bytes], feed: str, feed_age_s: float
) -> bytes:
    """A snapshot of whole games (from :func:`with_series`), true at ``seq``; how the feed is."""
    return orjson.dumps(
        {
            "type": "snapshot",
            "epoch": epoch,
            "seq": seq,
            "feed": feed,
            "feed_age_s": round(feed_age_s, 3),
            "games": [orjson.Fragment(game) for game in games],
        }
    )


def split_batch(payload: bytes) -> list[bytes]:
    """The messages in a batch (from :func:`encode_batch`), byte for byte."""
    return _split(payload, b'"messages":[', b'],"timing_ms":')


def split_snapshot(payload: bytes) -> list[bytes]:
    """The whole games in a snapshot (from :func:`encode_snapshot`), byte for byte."""
    return _split(payload, b'"games":[', b"]}")


def _split(payload: bytes, before: bytes, behind: bytes) -> list[bytes]:
    # In a JSON text these quotes would be escaped: each is a key, and only a game has this one.
    start = payload.find(before) + len(before)
    pieces = payload[start : payload.rfind(behind)].split(b',{"game_id":')
    return [pieces[0], *(b'{"game_id":' + piece for piece in pieces[1:])] if pieces[0] else []


def encode_welcome(
    version: str, epoch: str, heartbeat_s: float, feed: str, feed_age_s: float
) -> bytes:
    """The first message of a connection; how the feed is, as in a heartbeat."""
    return orjson.dumps(
        {
            "type": "welcome",
            "version": version,
            "protocol": PROTOCOL,
            "epoch": epoch,
            "heartbeat_s": heartbeat_s,
            "feed": feed,
            "feed_age_s": round(feed_age_s, 3),
        }
    )


def encode_heartbeat(epoch: str, seq: int, feed: str, feed_age_s: float) -> bytes:
    """A heartbeat: ``seq`` is that of the newest batch; ``feed_age_s`` in seconds."""
    return orjson.dumps(
        {
            "type": "heartbeat",
            "epoch": epoch,
            "seq": seq,
            "feed": feed,
            "feed_age_s": round(feed_age_s, 3),
        }
    )


def encode_error(code: str, detail: str) -> bytes:
    """What was wrong with a client's message."""
    return orjson.dumps({"type": "error", "code": code, "detail": detail})


def encode_pong(ping_id: object) -> bytes:
    """The answer to a client's ``ping`` with its ``id`` (any JSON value)."""
    return orjson.dumps({"type": "pong", "id": ping_id})


def encode_reconnect(after_s: float) -> bytes:
    """What goes before a planned end: come back, if at all, ``after_s`` seconds from now."""
    return orjson.dumps({"type": "reconnect", "after_s": round(after_s, 3)})


def _side(team: Team, score: int) -> dict[str, Any]:
    team_id, tricode, name = team
    return {"team_id": team_id, "tricode": tricode, "name": name, "score": score}


def _forecast(forecast: Forecast | None) -> dict[str, Any] | None:
    if forecast is None:
        return None
    home_win, margin, total, model, basis = forecast
    return {
        "home_win": home_win,
        "margin": {"p10": margin.p10, "p50": margin.p50, "p90": margin.p90},
        "total": {"p10": total.p10, "p50": total.p50, "p90": total.p90},
        "model": model,
        "basis": basis,
    }


def _market(market: Market) -> dict[str, float]:
    return {"margin": market.margin, "home_win": market.home_win}


def _event(play: Play, player: str) -> dict[str, Any]:
    return {
        "number": play.number,
        "period": play.period,
        "clock_s": play.clock_s,
        "kind": play.kind,
        "subkind": play.subkind,
        "team_id": play.team_id,
        "person_id": play.person_id,
        "player": player or None,
        "description": play.description,
        "home": play.home,
        "away": play.away,
        "time": play.actual or None,
    }


def _short(value: float) -> float:
    """A whole number without its ``.0``, as most moments of a game are."""
    return int(value) if value == int(value) else round(value, 2)
