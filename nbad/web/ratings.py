"""The ratings of all teams as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbad.pattern.rating import Ratings


def ratings_table(ratings: Ratings, model: str, learnt: int) -> dict[str, Any]:
    """Every team, best first, as ``/v1/ratings`` and ``nbad ratings --json`` tell it.

    ``learnt`` is how many results the ratings know beyond those in the model ``model``. Points are
    of margin against an average team on neutral ground; ``sd`` is their standard deviation.
    """
    from nbad.feed.names import team_of  # takes some 50 ms; a relay does not need it

    season = ratings.season
    rows = []
    for rank, rated in enumerate(ratings.table(), 1):
        _, tricode, name = team_of(rated.team_id)
        rows.append(
            {
                "rank": rank, "team_id": rated.team_id, "tricode": tricode, "name": name,
                "points": round(rated.points, 2), "sd": round(rated.sd, 2),
            }
        )  # fmt: skip
    return {
        "model": model,
        "season": None if season < 0 else f"20{season:02d}-{(season + 1) % 100:02d}",
        "learnt": learnt,
        "home_points": round(ratings.home_points, 2),
        "teams": rows,
    }
