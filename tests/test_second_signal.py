"""Which signal ends at once; that they are heard whatever hangs is in attack/test_signals.py."""

from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from nbad.signals import END_S, Signals

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


class EndedError(Exception):
    """In place of the end of the process."""


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        # As `timeout` sends it, to us and to our group.
        ([(0.0, TERM), (0.001, TERM)], "drain_cut"),
        ([(0.0, INT), (0.04, INT), (0.06, INT)], "aborted"),
        ([(0.0, TERM), (0.001, INT)], "aborted"),
        ([(0.0, TERM), (0.001, HUP), (3.0, TERM)], "aborted"),
    ],
)
def test_the_same_signal_at_once_again_is_no_second_one(
    monkeypatch: pytest.MonkeyPatch, heard: list[tuple[float, int]], told: str
) -> None:
    now, ends, asked = 100.0, list[str](), list[str]()
    waiting = iter(heard)

    def wait(_: object, seconds: float) -> Any:
        nonlocal now
        at, number = next(waiting, (0.0, 0))
        now = 100.0 + at if number else now + seconds
        return SimpleNamespace(si_signo=number) if number else None

    def cut(event: str, _: str) -> None:
        ends.append(event)
        raise EndedError

    def threads(**_: object) -> Any:
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(threading, "Thread", threads)
    monkeypatch.setattr(signal, "sigtimedwait", wait)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr("nbad.signals.os._exit", lambda _: None)
    signals = Signals()
    signals._ended, signals._cut = asked.append, cut
    signals._token = SimpleNamespace(run_sync_soon=lambda call, *words: call(*words))  # type: ignore[assignment]
    with pytest.raises(EndedError):
        signals._listen()
    assert asked == [signal.Signals(heard[0][1]).name]
    assert ends == [told]
    assert now == 100.0 + (END_S if told == "drain_cut" else heard[-1][0])
