"""A game in the words of a terminal, the same in ``watch`` and ``demo``."""

from __future__ import annotations

from datetime import datetime

_EIGHTHS = " ▏▎▍▌▋▊▉"


def where(status: str, period: int, clock_s: float, start_utc: str | None) -> str:
    """Where a game stands, in at most 9 columns; the tip-off is of this machine's time zone."""
    extra = period - 4
    overtime = "OT" if extra == 1 else f"{extra}OT"
    if status == "live":
        minutes, seconds = divmod(int(clock_s), 60)
        return f"{f'Q{period}' if extra <= 0 else overtime} {minutes:2}:{seconds:02}"
    if status == "final" and extra > 0:
        return f"final/{overtime}"
    if status == "scheduled" and start_utc:
        try:
            return f"at {datetime.fromisoformat(start_utc).astimezone():%H:%M}"
        except ValueError:
            return status
    return status


def bar(share: float, width: int) -> str:
    """A share (0…1) as a bar of at most ``width`` columns, in eighths of one."""
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()
