"""What an export holds, read by DuckDB, pandas and polars.

nbad export /var/lib/nbad --out FOLDER --format parquet
pip install duckdb pandas polars
python examples/read_export.py FOLDER
"""

import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl


def main(folder: Path) -> None:
    # DuckDB: the plays that moved a game most.
    print(
        duckdb.sql(f"""
            SELECT games.away || ' at ' || games.home AS game, period, clock_s, description,
                   round(100 * swing, 1) AS points
            FROM '{folder}/plays.parquet' AS plays
            JOIN '{folder}/games.parquet' AS games USING (game_id)
            WHERE kind NOT IN ('game', 'period') ORDER BY abs(swing) DESC LIMIT 5
        """)
    )
    # pandas: was the favourite right, by how far the game was?
    games = pd.read_parquet(folder / "games.parquet")
    said = pd.read_parquet(folder / "forecasts.parquet").merge(games, on="game_id")
    said["won"] = said.home_score > said.away_score
    said["brier"] = (said.home_win - said.won) ** 2
    print(said.groupby(said.elapsed_s // 720).brier.mean().rename("Brier by quarter"))
    # polars: how wide the margin's band was, and how often it held.
    bands = pl.read_parquet(folder / "forecasts.parquet").join(
        pl.read_parquet(folder / "games.parquet"), on="game_id"
    )
    margin = pl.col("home_score") - pl.col("away_score")
    print(
        bands.group_by((pl.col("elapsed_s") // 720).alias("quarter"))
        .agg(
            (pl.col("margin_p90") - pl.col("margin_p10")).mean().alias("width"),
            margin.is_between(pl.col("margin_p10"), pl.col("margin_p90")).mean().alias("held"),
        )
        .sort("quarter")
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
