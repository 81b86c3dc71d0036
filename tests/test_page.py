"""The page in a real browser: a whole night, with a death of the daemon in its middle."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme
from browser_kit import CHROMIUM, Browser, Tab
from daemon_kit import Daemon, serving, urls_at
from port_kit import free_port

from nbad.simulator import simulate_night

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

_SCORES = """Object.fromEntries([...document.querySelectorAll('#games > li')].map((li) =>
  [li.dataset.game, [...li.querySelectorAll('.score')].map((s) => Number(s.textContent))]))"""


def test_the_page_finds_a_stream_that_has_tls(browser: Browser, tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    server = f'[server]\nport = 0\ntls_cert = "{pem}"\n[http]\nport = 0\n'
    with serving("--games", "2") as urls, browser.tab() as tab:
        daemon = Daemon(tmp_path, *urls, server=server)
        tab.call("Security.setIgnoreCertificateErrors", ignore=True)
        tab.call("Page.navigate", url=f"http://127.0.0.1:{daemon.port('http')}/")
        tab.wait_until("document.querySelector('#link')?.dataset.state === 'ok'")
        assert daemon.end() == 0


@pytest.mark.slow
def test_a_night_is_right_to_its_end_through_a_death_of_the_daemon(
    browser: Browser, tmp_path: Path
) -> None:
    finals = simulate_night(3, 2).finals
    port, feed = free_port(), free_port()  # the page comes back to the same address
    server = f"[server]\nport = 0\n[http]\nport = {port}\n"
    daemon = Daemon(tmp_path / "daemon", *urls_at(feed), server=server)
    daemon.port("http")
    options = ["--games", "3", "--seed", "2", "--speed", "400", "--port", str(feed)]
    with browser.tab() as tab, contextlib.ExitStack() as night:
        tab.look(1280, 900)
        tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
        tab.wait_until("document.querySelector('#link')?.textContent === 'waiting for the feed…'")
        night.enter_context(serving(*options))
        tab.click(".card.live")
        tab.evaluate("window.sameDocument = true")
        tab.wait_until("document.querySelector('#open .big') !== null")
        daemon.process.kill()
        daemon.process.wait()
        tab.wait_until("document.querySelector('#link').dataset.state === 'bad'")
        daemon.start()
        tab.wait_until("document.querySelector('#link').dataset.state === 'ok'")
        ended = "[...document.querySelectorAll('.clock')].every(c => c.textContent[0] === 'F')"
        tab.wait_until(ended)
        expected = {game_id: [away, home] for game_id, (home, away) in finals.items()}
        # The scorers may correct a score after the end: the page follows.
        tab.wait_until(
            f"(() => {{ const shown = {_SCORES}, true_ = {json.dumps(expected)}; return "
            "Object.keys(true_).every((id) => String(shown[id]) === String(true_[id])) })()"
        )
        assert tab.evaluate("Object.keys(" + _SCORES + ").length") == 3
        assert tab.evaluate("window.sameDocument") is True
        # The curve of the whole game, though half of it was before this page's connection.
        assert tab.evaluate("document.querySelector('#open .win').getAttribute('d').length > 500")
        opened = tab.evaluate("location.hash.slice(1)")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/games/{opened}") as answer:
            scoring = json.load(answer)["scoring"]
        assert tuple(scoring[-1][1:3]) == finals[opened]
        ahead = [home > away for _, home, away, _ in scoring if home != away]
        changes = sum(one != other for one, other in pairwise(ahead))
        tab.wait_until(
            "[...document.querySelectorAll('#open dt')].find((d) => d.textContent === "
            f"'Lead changes').nextSibling.textContent === '{changes}'"
        )
        assert tab.evaluate("document.querySelectorAll('#open .lead').length") == changes
        # The plays that moved it most, each with its own time and for the side that it helped. Both
        # page and daemon follow the scorers' last corrections.
        shown = "[...document.querySelectorAll('.moments li')].map((li) => li.innerText)"
        for _ in range(60):
            most = biggest_swings(f"http://127.0.0.1:{port}/v1/games/{opened}/plays")
            told = tab.evaluate(shown)
            if len(told) == len(most) and all(
                part in line for parts, line in zip(most, told, strict=True) for part in parts
            ):
                break
            time.sleep(1)
        else:
            raise AssertionError(f"expected {most}, was {told}")
        for text in told:
            assert re.match(r"(Q\d|\d?OT) (\d+:\d\d|\d+\.\d) ", text), text
        assert daemon.end() == 0


def biggest_swings(url: str) -> list[tuple[str, str]]:
    """What the page is to say of the five plays that moved the game most: which, and for whom."""
    with urllib.request.urlopen(url) as answer:
        told = json.load(answer)
    plays = [dict(zip(told["columns"], row, strict=True)) for row in told["plays"]]
    plays = [play for play in plays if play["kind"] not in ("game", "period")]
    plays.sort(key=lambda play: -abs(play["swing"]))
    return [
        (play["description"], f"{play['team']} +{abs(play['swing']) * 100:.0f}%")
        for play in plays[:5]
    ]


@pytest.mark.slow
def test_a_phone_needs_no_sideways_scrolling_and_every_card_has_its_name(
    browser: Browser, tmp_path: Path
) -> None:
    with serving("--games", "4", "--seed", "3", "--speed", "60") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls)
        daemon.wait_for("ready")
        port = daemon.port("http")
        with browser.tab() as tab:
            tab.look(360, 780, mobile=True)
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
            tab.wait_until("document.querySelectorAll('.card').length === 4")
            assert tab.evaluate("document.documentElement.scrollWidth") == 360
            names = tab.evaluate("[...document.querySelectorAll('.card')].map(c => c.textContent)")
            assert all("Chance to win" in name for name in names), names
            assert tab.violations() == []
            tab.evaluate("document.querySelectorAll('.card')[2].focus()")
            for key in ("ArrowDown", "Enter"):
                for kind in ("keyDown", "keyUp"):
                    text = {"text": "\r"} if (key, kind) == ("Enter", "keyDown") else {}
                    tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                             windowsVirtualKeyCode={"Enter": 13}.get(key, 40), **text)  # fmt: skip
            tab.wait_until("document.querySelectorAll('[aria-expanded=true]').length === 1")
            opened = "document.querySelector('#games > li:nth-child(4) [aria-expanded=true]')"
            assert tab.evaluate(f"{opened} !== null")
            # The game is above the cards, and taller than the screen: its head is what is seen.
            head = "document.querySelector('#open .close').getBoundingClientRect().top"
            assert 0 <= tab.evaluate(head) < 200
        assert daemon.end() == 0


# Stands in for the stream: what is sent does not come from the daemon that serves the page.
FAKE = """window.WebSocket = class {
  constructor() {
    window.said = (text) => this.onmessage({ data: text });
    setTimeout(() => MESSAGES.forEach((m) => this.onmessage({ data: JSON.stringify(m) })));
  }
  close() {}
};
window.asked = []; window.unanswered = 0;
const real = window.fetch;
window.fetch = (path, ...more) => {
  asked.push(path); unanswered++;
  return real(path, ...more).finally(() => { unanswered-- });
}"""


def told_by(tab: Tab, url: str, *messages: dict[str, Any]) -> None:
    """Open the page anew, with a stream that sends these after its welcome."""
    welcome = {"type": "welcome", "epoch": "e", "heartbeat_s": 10}
    source = FAKE.replace("MESSAGES", json.dumps([welcome, *messages]))
    known = tab.call("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    tab.call("Page.navigate", url="about:blank")
    tab.call("Page.navigate", url=url)
    tab.wait_until("['ok', 'bad'].includes(document.querySelector('#link')?.dataset.state)")
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=known)


def game(number: int, status: str, period: int = 0, **others: Any) -> dict[str, Any]:
    sides = {
        which: {"team_id": 1, "tricode": code, "name": name, "score": score}
        for which, code, name, score in (
            ("away", "AAA", "The Awfully Long Named Visitors", others.pop("away", 0)),
            ("home", "HHH", "Homes", others.pop("home", 0)),
        )
    }
    margin = {"p10": -9.6, "p50": -0.4, "p90": 8.6}
    forecast = {"home_win": 0.495, "margin": margin, "total": dict.fromkeys(margin, 220.0)}
    return {
        "game_id": f"002250000{number}", "status": status, "period": period, "clock_s": 75.0,
        "start_utc": "2026-01-15T00:00:00Z", **sides, "event": None, "corrected": False,
        "differential": sides["home"]["score"] - sides["away"]["score"],
        "forecast": forecast | {"model": "m"}, **others,
    }  # fmt: skip


def test_each_state_of_a_night_and_of_a_game_is_said(browser: Browser, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    daemon = Daemon(tmp_path / "daemon", nowhere, nowhere)
    port = daemon.port("http")
    url = f"http://127.0.0.1:{port}/"
    empty = "document.querySelector('#empty').textContent"
    with browser.tab() as tab:
        tab.call("Page.enable")
        tab.look(360, 780, mobile=True)
        tab.call("Page.navigate", url=url)
        tab.wait_until("document.querySelector('#link')?.textContent === 'waiting for the feed…'")
        assert tab.evaluate(empty) == "Waiting for the first games…"
        night = {"type": "snapshot", "epoch": "e", "seq": 1}
        told_by(tab, url, night | {"games": []})
        tab.wait_until(f"{empty}.startsWith('No games tonight')")
        games = [
            game(0, "postponed", forecast=None),
            game(1, "scheduled"),
            game(2, "live", 6, away=120, home=118, corrected=True),
            game(3, "final", 5, away=101, home=99),
            game(4, "live", 4, away=90, home=90, forecast=None),
        ]
        down = {"type": "heartbeat", "seq": 1, "feed": "down", "feed_age_s": 60}
        told_by(tab, url, night | {"games": games}, down)
        tab.wait_until("document.querySelector('#link').textContent.startsWith('feed down')")
        tab.wait_until("document.querySelectorAll('.card').length === 5")
        shown = tab.evaluate(
            "[...document.querySelectorAll('#games > li')].map((li) => li.innerText.split('\\n'))"
        )
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        texts = {lines[0]: lines[1:] for lines in shown}
        assert set(texts) - {"Postponed", "2OT 1:15", "Final/OT", "Q4 1:15"}  # the time of a start
        # A postponed game has neither score nor forecast, a final no forecast but its result.
        names = ["AAA", "The Awfully Long Named Visitors", "HHH", "Homes"]
        assert texts["Postponed"] == names
        assert texts["Final/OT"][0] == "200 points"
        assert texts["Final/OT"][-1] == "AAA won by 2"
        assert not any("%" in text for text in texts["Final/OT"])
        # Chances that are rounded still make 100.
        assert texts["2OT 1:15"][0] == "corrected"
        assert {"50%", "Margin: Even (AAA −9 to +10)"} <= set(texts["2OT 1:15"])
        # What is not of now looks it, in all numbers of life.
        assert tab.evaluate("document.body.classList.contains('old')")
        assert tab.evaluate("getComputedStyle(document.querySelector('#games')).filter") != "none"
        assert tab.violations() == []
        # In play, though without a forecast: before those that are over.
        assert [lines[0] for lines in shown].index("Q4 1:15") == 1
        tab.click("[data-game='0022500000'] .card")
        tab.wait_until("document.querySelector('#open .play').textContent === 'Postponed'")
    assert daemon.end() == 0


@pytest.mark.slow
def test_where_the_stream_wants_a_token_the_page_hands_on_its_own(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text("s3cret\n")
    server = f'[server]\nport = 0\ntokens_file = "{tmp_path / "tokens"}"\n[http]\nport = 0\n'
    with serving("--games", "2", "--seed", "3", "--speed", "60") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls, server=server)
        daemon.wait_for("ready")
        port = daemon.port("http")
        with browser.tab() as tab:
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
            tab.wait_until("document.body.innerText.includes('expected a token')")
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/?token=s3cret")
            tab.click(".card")
            assert tab.evaluate("location.search") == "?token=s3cret"
        assert daemon.end() == 0


def test_the_address_opens_and_closes_a_game_and_the_order_goes_on(
    browser: Browser, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    daemon = Daemon(tmp_path / "daemon", nowhere, nowhere)
    url = f"http://127.0.0.1:{daemon.port('http')}/"
    is_open = "!document.querySelector('#open').hidden"
    first = "document.querySelector('#games > li')?.dataset.game"
    with browser.tab() as tab:
        tab.call("Page.enable")
        tab.look(1280, 900)
        games = [game(n, "live", 4, away=80, home=80 + 9 * n) for n in range(3)]
        for n, one in enumerate(games):
            one["forecast"]["home_win"] = (0.5, 0.9, 0.9999999)[n]
        told_by(tab, url, {"type": "snapshot", "epoch": "e", "seq": 1, "games": games})
        tab.wait_until(f"{first} === '0022500000'")
        tab.click("[data-game='0022500001'] .card")
        tab.wait_until(f"{is_open} && location.hash === '#0022500001'")
        tab.click("[data-game='0022500002'] .card")
        # Of a game that is not over nothing is certain.
        odds = "document.querySelector('#open .facts dd').textContent"
        tab.wait_until(f"{odds} === 'AAA <1% · HHH >99%'")
        tab.evaluate("history.back()")
        tab.wait_until("document.querySelector('#open').hidden && location.pathname === '/'")
        tab.evaluate("location.hash = '#0022500002'")  # as pasted into the address
        tab.wait_until(is_open)
        tab.click("#open .close")
        tab.wait_until("document.querySelector('#open').hidden && location.hash === ''")
        # The focus is back on its card, and yet the order follows once the reader is at rest.
        assert tab.evaluate("document.activeElement.className").startswith("card")
        tab.evaluate(
            "{ window.heard = []; new MutationObserver(() => heard.push("
            "document.querySelector('#said').textContent)).observe("
            "document.querySelector('#said'), {childList: true});"
            " const now = performance.now; performance.now = () => now.call(performance) + 30000 }"
        )
        # The alarm is asked for, and rings for what gets close after that.
        # (No permission: a headless browser may look for a desktop's notifications for 25 s.)
        denied = {"permission": {"name": "notifications"}, "setting": "denied", "origin": url}
        tab.call("Browser.setPermission", browserContextId=tab.context, **denied)
        tab.click("#alarm")
        tab.wait_until("document.querySelector('#alarm').ariaPressed === 'true'")
        later = game(2, "live", 4, away=99, home=98)
        held = json.dumps(
            {
                "type": "batch",
                "epoch": "e",
                "seq": 2,
                "timing_ms": {},
                "messages": [later, game(0, "final", 4, away=80, home=99)],
            }
        )
        tab.evaluate(f"window.said({json.dumps(held)})")
        close = "'Close: AAA 99 – 98 HHH, Q4 1:15'"
        tab.wait_until(f"window.heard.some((text) => text.includes({close}))")
        tab.wait_until(f"{first} === '0022500002'")
        assert tab.evaluate("document.activeElement.closest('li').dataset.game") == "0022500002"
    assert daemon.end() == 0


def test_a_second_of_the_clock_draws_nothing_anew_but_the_clock(
    browser: Browser, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    daemon = Daemon(tmp_path / "daemon", nowhere, nowhere)
    url = f"http://127.0.0.1:{daemon.port('http')}/"
    series = [[30.0 * n, 0.5, -9.6, -0.4, 8.6, 220.0] for n in range(94)]
    games = [game(n, "live", 4, away=80 + n, home=80, series=series) for n in range(3)]
    with browser.tab() as tab:
        tab.call("Page.enable")
        tab.look(1280, 900)
        told_by(tab, url, {"type": "snapshot", "epoch": "e", "seq": 1, "games": games})
        tab.click("[data-game='0022500001'] .card")
        tab.wait_until("document.querySelector('#open .big .win') !== null")
        later = [game(n, "live", 4, away=80 + n, home=80, clock_s=74.9) for n in range(3)]
        batch = {"type": "batch", "epoch": "e", "seq": 2, "timing_ms": {}, "messages": later}
        changed = tab.evaluate(
            """new Promise((done) => {
              const changed = new Set();
              const named = (node) => node.nodeType === 3 ? named(node.parentNode)
                : node.id || node.classList[0] || `${named(node.parentNode)} ${node.localName}`;
              new MutationObserver((records) => {
                for (const { target, type, attributeName, oldValue } of records)
                  if (type !== 'attributes' || target.getAttribute(attributeName) !== oldValue)
                    changed.add(named(target));
              }).observe(document.querySelector('main'), { subtree: true, childList: true,
                characterData: true, attributes: true, attributeOldValue: true });
              window.said(BATCH);
              const told = () => done([...changed].sort());
              requestAnimationFrame(() => requestAnimationFrame(told));
            })""".replace("BATCH", json.dumps(json.dumps(batch)))
        )  # fmt: skip
        # The scrubber's text is hidden with it, until there are plays.
        assert changed == ["clock", "play b", "scrub input"]
        # A page that nobody sees asks for nothing, and for what it missed once it is looked at. (In
        # one step: it asks for a box score now and then by itself.)
        tab.wait_until("window.unanswered === 0")
        missed = json.dumps(json.dumps(batch | {"seq": 3}))
        asked = tab.evaluate(
            """(() => {
          const hidden = (value) =>
            Object.defineProperty(document, 'hidden', { value, configurable: true });
          asked.length = 0; hidden(true); window.said(BATCH);
          const unseen = [...asked];
          hidden(false); document.dispatchEvent(new Event('visibilitychange'));
          return [unseen, asked] })()""".replace("BATCH", missed)
        )
        plays = "/v1/games/0022500001/plays"
        assert asked == [[], [plays, "/v1/games/0022500001/boxscore"]]
        # What comes while an answer is on its way may be missing in it: it is asked for again.
        tab.wait_until("window.unanswered === 0")
        said = [json.dumps(batch | {"seq": seq}) for seq in (4, 5, 6)]
        tab.evaluate(
            "{ asked.length = 0; window.fetch = async (path) => { asked.push(path);"
            ' return new Response(\'{"columns": [], "plays": []}\') };'
            f" {json.dumps(said)}.forEach(window.said) }}"
        )
        tab.wait_until(f"asked.filter((path) => path === '{plays}').length === 2")
    assert daemon.end() == 0


@pytest.mark.slow
def test_a_game_is_explored_by_key_and_shown_by_itself(browser: Browser, tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "3", "--speed", "40") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls)
        daemon.wait_for("ready")
        port = daemon.port("http")
        with browser.tab() as tab:
            tab.look(1280, 900)
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
            tab.click(".card.live")
            tab.wait_until("document.querySelectorAll('#open .moments li').length > 1")
            tab.evaluate("document.querySelector('.chart').focus()")
            for key in ("Home", "ArrowRight"):
                tab.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
            told = r"/^Q1 1[12]:\d\d · ... \d+ – \d+ ... · ... \d+% · /"
            tab.wait_until(f"{told}.test(document.querySelector('.read').textContent)")
            assert (
                tab.evaluate("document.querySelector('.cross').getAttribute('visibility')")
                == "visible"
            )
            # The pointer reads it too; leaving, it lets go.
            tab.evaluate("document.activeElement.blur()")
            left, top, wide = tab.evaluate(
                "(() => { const b = document.querySelector('.chart').getBoundingClientRect();"
                " return [b.left, b.top, b.width] })()"
            )
            for x, y in ((left + wide * 0.07, top + 60), (left - 20, top - 40)):
                told = "/^Q1 /" if x > left else "/^Point to/"
                tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
                tab.wait_until(f"{told}.test(document.querySelector('.read').textContent)")
            # A favourite stays one in this browser; the game's plays are there as CSV.
            tab.click("#open .links button")
            tab.wait_until("document.querySelector('#open .links button').textContent[0] === '★'")
            tab.click("[data-filter=mine]")
            tab.wait_until("document.querySelectorAll('#games > li:not([hidden])').length === 1")
            assert len(tab.evaluate("localStorage.getItem('nbad.teams')")) == 3
            link, csv = (
                tab.evaluate(f"document.querySelector('#open .links a{which}').pathname")
                for which in ("", "[download]")
            )
            opened = tab.evaluate("location.hash.slice(1)")
            assert (link, csv) == (f"/game/{opened}", f"/v1/games/{opened}/plays.csv")
            text = tab.evaluate(f"fetch('{csv}').then((answer) => answer.text())")
            assert text.startswith("number,elapsed_s,")
            tab.click("#tab-line")
            told = tab.evaluate("""(() => {
              const field = document.querySelector('#bet-spread'); field.value = '0.5';
              field.dispatchEvent(new Event('input'));
              return document.querySelector('#out-spread').textContent })()""")
            assert re.match(r"... covers [<>]?\d+% \(.*\) · ... covers", told), told
            # The feed's box score, asked of it now that a game is open; sorted by what is clicked.
            tab.click("#tab-box")
            tab.wait_until("document.querySelectorAll('.boxes tbody tr').length >= 10")
            assert tab.violations() == []
            tab.click("[data-sort=pts]")
            tab.wait_until(
                "document.querySelector('[data-sort=pts]').parentNode.ariaSort === 'descending'"
            )
            points = tab.evaluate(
                "[...document.querySelectorAll('.boxes table')].map((table) =>"
                " [...table.tBodies[0].rows].map((row) => Number(row.cells[2].textContent)))"
            )
            assert all(side == sorted(side, reverse=True) for side in points)
            # In one step: the table is made anew while it is looked at.
            teams = tab.evaluate(
                "[...document.querySelectorAll('.boxes table')].map((table) =>"
                " [table.tFoot.rows[0], ...table.tBodies[0].rows].map("
                "(row) => Number(row.cells[2].textContent)))"
            )
            assert all(team == sum(others) for team, *others in teams)
            tab.click("#tab-players")
            tab.wait_until("document.querySelectorAll('.panel tbody tr').length > 4")
            assert tab.violations() == []
            opened = tab.evaluate("location.hash.slice(1)")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/embed/{opened}") as answer:
                assert "frame-ancestors *" in answer.headers["content-security-policy"]
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/embed/{opened}")
            tab.wait_until("document.querySelector('#open .moments li') !== null")
            assert (
                tab.evaluate("getComputedStyle(document.querySelector('header')).display") == "none"
            )
            assert tab.violations() == []
            tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/game/{opened}?t=100")
            tab.wait_until(
                "document.querySelector('.cross')?.getAttribute('visibility') === 'visible'"
            )
            assert "Q1 10:" in tab.evaluate("document.querySelector('.read').textContent")
        assert daemon.end() == 0
