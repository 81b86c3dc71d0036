"""Past nights in a real browser: the night, its games with a scrubber, and whether it was right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser_kit import CHROMIUM, Browser
from daemon_kit import ANY_PORTS, Daemon, get, serving
from port_kit import free_port

from nbad.simulator import simulate_night

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.mark.slow
def test_a_past_night_is_seen_replayed_and_judged(browser: Browser, tmp_path: Path) -> None:
    finals = simulate_night(2, 7).finals
    server = f'{ANY_PORTS}[record]\npath = "{tmp_path / "kept"}"\npayloads = false\n'
    port = str(free_port())  # of both feeds
    with serving("--games", "2", "--seed", "7", "--speed", "900", "--port", port) as urls:
        daemon = Daemon(tmp_path / "daemon", *urls, server=server)
        while len(daemon.events("game_kept")) < 2:
            daemon.pause()
        assert daemon.end() == 0
    with serving("--games", "1", "--seed", "8", "--port", port):
        daemon.start()
        url = f"http://127.0.0.1:{daemon.port('http')}"
        daemon.wait_for("ready")
        date = json.loads(get(f"{url}/v1/nights")[1])["nights"][0]["date"]
        game_id, (home, away) = next(iter(finals.items()))
        with browser.tab() as tab:
            tab.call("Log.enable")
            tab.look(1280, 1000)
            tab.call("Page.navigate", url=f"{url}/nights")
            tab.wait_until(f"document.querySelector('a[href=\"/night/{date}\"]') !== null")
            tab.wait_until("document.querySelector('#past figure circle') !== null")
            assert tab.violations() == []
            tab.call("Page.navigate", url=f"{url}/night/{date}")
            tab.wait_until("document.querySelectorAll('#games .card.final').length === 2")
            assert "Was it right" in tab.evaluate("document.querySelector('#past').innerText")
            tab.click(f'li[data-game="{game_id}"] .card')
            tab.wait_until("document.querySelector('.scrub input')?.max >= 2880")
            title = "document.querySelector('#open h2')?.textContent.match(/\\d+/g)?.join()"
            assert tab.evaluate(title) == f"{away},{home}"
            assert tab.violations() == []
            # A game of a past night by its own address, at a moment.
            plays = json.loads(get(f"{url}/v1/games/{game_id}/plays")[1])["plays"]
            at = next(play for play in plays if play[1] >= 1440)
            tab.call("Page.navigate", url=f"{url}/game/{game_id}?t={at[1]}")
            shown = [play for play in plays if play[1] == at[1]]
            scores = json.dumps([f"{play[5]},{play[4]}" for play in shown])
            tab.wait_until(f"{scores}.includes({title})")
            assert tab.evaluate("document.querySelector('.veil').getAttribute('visibility')") == (
                "visible"
            )
            tab.evaluate(
                "(() => { const slider = document.querySelector('.scrub input'); slider.value = 0;"
                " slider.dispatchEvent(new Event('input')) })()"
            )
            tab.wait_until(f"{title} === '0,0'")
            assert tab.evaluate("location.search") == "?t=0"
            tab.click(".scrub button")  # replay: it runs on by itself
            tab.wait_until(f"{title} !== '0,0'")
            assert "t=" in tab.evaluate("document.querySelector('#open .links a').href")
            tab.call("Page.navigate", url=f"{url}/night/2001-01-01")
            tab.wait_until(
                "document.body?.innerText.includes('No games of 2001-01-01 were recorded')"
            )
        assert daemon.end() == 0
