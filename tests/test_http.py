"""The HTTP side of a real daemon: games, health, metrics, and its address."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import Daemon, get, serving, until_status
from jsonschema_rs import Draft202012Validator
from port_kit import free_port
from prometheus_client.parser import text_string_to_metric_families

from nbad.web.openapi import DOCUMENT

pytestmark = pytest.mark.slow


def answers(url: str) -> bool:
    try:
        return get(f"{url}/livez")[0] == 200
    except OSError:
        return False


def http_url(daemon: Daemon) -> str:
    daemon.wait_for("ready")
    return f"http://127.0.0.1:{daemon.port('http')}"


def valid(path: str, value: Any, status: str = "200") -> None:
    schema = DOCUMENT["paths"][path]["get"]["responses"][status]["content"]["application/json"]
    Draft202012Validator({**schema["schema"], "components": DOCUMENT["components"]}).validate(value)


def test_games_stats_and_metrics_are_those_of_the_night(tmp_path: Path) -> None:
    with serving("--games", "3", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        url = http_url(daemon)
        games = json.loads(get(f"{url}/v1/games")[1])
        valid("/v1/games", games)
        assert len(games["games"]) == 3
        whole = json.loads(get(f"{url}/v1/games/{games['games'][0]['game_id']}")[1])
        valid("/v1/games/{game_id}", whole)
        for path in ("/v1/games/{game_id}", "/v1/games/{game_id}/plays"):
            status, body = get(url + path.replace("{game_id}", "0000000000"))
            assert status == 404
            valid(path, json.loads(body), "404")
        stats = json.loads(get(f"{url}/v1/stats")[1])
        valid("/v1/stats", stats)
        assert stats["stages"]["poll"]["life"]["count"] > 0
        families = {
            family.name: family
            for family in text_string_to_metric_families(get(f"{url}/metrics")[1].decode())
        }
        counts = {
            sample.labels["stage"]: sample.value
            for sample in families["nbad_stage_seconds"].samples
            if sample.name.endswith("_count")
        }
        assert set(counts) == {"poll", "parse", "pattern", "predict", "emit", "total"}
        assert families["nbad_games"].samples[0].value == 3
        assert all(family.documentation for family in families.values())
        status, page = get(f"{url}/")
        assert status == 200
        assert b"<title>nbad" in page
        assert daemon.end() == 0


def test_readiness_follows_the_feed(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        url = http_url(daemon)
        assert until_status(f"{url}/readyz", 200) == {"status": "ready", "reasons": []}
        urls.process.send_signal(signal.SIGSTOP)  # it takes connections, and says nothing
        assert "the feed is down" in until_status(f"{url}/readyz", 503)["reasons"][0]
        assert get(f"{url}/livez")[0] == 200
        urls.process.send_signal(signal.SIGCONT)
        until_status(f"{url}/readyz", 200)
        families = text_string_to_metric_families(get(f"{url}/metrics")[1].decode())
        errors = {
            sample.labels["kind"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "nbad_feed_errors_total"
        }
        assert errors["timeout"] > 0
        assert daemon.end() == 0  # with it the log is whole
        while len(daemon.events("feed_state")) < 2:  # lines are written a moment later, together
            daemon.pause()
        turns = [(turn["level"], turn["state"]) for turn in daemon.events("feed_state")]
        assert turns == [("warning", "down"), ("info", "ok")]


def test_a_reload_moves_it_and_a_taken_port_does_not(tmp_path: Path) -> None:
    with serving("--games", "2", "--seed", "2", "--speed", "60") as urls:
        daemon = Daemon(tmp_path, *urls)
        first = http_url(daemon)
        own = free_port()
        elsewhere = f'[http]\nhost = "localhost"\nport = {own}'
        moved = daemon.text.replace("[http]\nport = 0", elsewhere)
        daemon.config.write_text(moved)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded")
        give_up = time.monotonic() + 60
        while (second := http_url(daemon)) == first:
            assert time.monotonic() < give_up
            signal.sigtimedwait([], 0.02)
        assert get(f"{second}/livez")[0] == 200
        while answers(first):
            assert time.monotonic() < give_up, "the old address is still served"
        port = urls[0].split(":")[2].partition("/")[0]  # the feed's own
        daemon.config.write_text(daemon.text.replace("[http]\nport = 0", f"[http]\nport = {port}"))
        daemon.process.send_signal(signal.SIGHUP)
        failed = daemon.wait_for("listen_failed")
        assert (failed["service"], failed["port"]) == ("http", int(port))
        assert failed["stays"] == second.removeprefix("http://")
        assert get(f"{second}/livez")[0] == 200
        wider = f'[http]\nhost = "0.0.0.0"\nport = {own}'
        daemon.config.write_text(daemon.text.replace("[http]\nport = 0", wider))
        daemon.process.send_signal(signal.SIGHUP)
        while daemon.events("listening")[-1]["host"] != "0.0.0.0":
            assert time.monotonic() < give_up
            daemon.pause()
        assert get(f"http://127.0.0.2:{own}/livez")[0] == 200
        assert daemon.end() == 0
