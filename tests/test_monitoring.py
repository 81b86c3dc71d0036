"""The dashboard and the alert rules speak of metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nbad.domain import FeedState
from nbad.model.forecaster import Forecaster
from nbad.observe.metrics import BOUNDS_S, Metrics
from nbad.observe.statistics import Statistics
from nbad.observe.timing import Channel, Tick
from nbad.settings.current import Runtime, Settings, ToldModel
from nbad.settings.schema import Config
from nbad.stages.server import open_hub
from nbad.web.status import Live

FOLDER = Path(__file__).parent.parent / "monitoring"
GUIDE = FOLDER.parent / "docs" / "operations.md"
PROMTOOL = shutil.which("promtool")
_NAME = re.compile(r"nbad_[a-z_]+")


async def exposition() -> bytes:
    metrics = Metrics()
    metrics.count({"level": "warning", "event": "feed_error", "kind": "refused"})
    tick = Tick(1, trio.current_time(), Runtime(Config(), Forecaster.load()))
    tick.timing_ms["poll"] = tick.timing_ms["total"] = 3.0
    tick.errors["poll"] = 1
    tick.channels["parse"] = Channel(0, 0.001, 2)
    metrics.served(tick, 3, 2, 0)
    return metrics.text()


async def exposed() -> set[str]:
    families = text_string_to_metric_families((await exposition()).decode())
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json"])
async def test_every_metric_named_is_exposed(file: str) -> None:
    named = set(_NAME.findall((FOLDER / file).read_text()))
    assert named
    assert named <= await exposed()


async def test_the_guide_names_every_metric_and_every_alert() -> None:
    guide = GUIDE.read_text()
    for name in await exposed():
        stem = re.sub(r"_(bucket|count|sum|created)$", "", name)
        assert stem in guide, stem
    for alert in re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text()):
        assert alert in guide


async def test_totals_kept_elsewhere_are_counters() -> None:
    metrics = Metrics()
    tick = Tick(1, trio.current_time(), Runtime(Config(), Forecaster.load()))
    for superseded, conflated in ((2, 0), (2, 5), (3, 5)):
        tick.channels["parse"] = Channel(0, 0.001, superseded)
        metrics.served(tick, 3, 2, conflated)
    text = metrics.text().decode()
    assert "nbad_superseded_payloads_total 3.0" in text
    assert "nbad_conflated_batches_total 5.0" in text


async def test_a_histogram_is_as_prometheus_client_tells_its_own() -> None:
    registry = CollectorRegistry()
    theirs = Histogram(
        "nbad_channel_wait_seconds",
        "How long a tick waited in the channel before a stage",
        ["stage"],
        registry=registry,
        buckets=BOUNDS_S,
    )
    metrics = Metrics()
    for waited_s in (0.0, 0.0001, 0.00011, 0.7, 4.9, 5.0, 5.1):
        tick = Tick(1, trio.current_time(), Runtime(Config(), ToldModel()))
        for stage in ("parse", "emit"):
            tick.channels[stage] = Channel(0, waited_s, 0)
            theirs.labels(stage).observe(waited_s)
        metrics.served(tick, 3, 2, 0)
    assert generate_latest(registry) in metrics.text()


@pytest.mark.skipif(not PROMTOOL, reason="needs promtool")
def test_promtool_finds_no_fault() -> None:
    def promtool(*command: str, said: bytes = b"") -> bytes:
        ran = subprocess.run(
            [str(PROMTOOL), *command],
            cwd=FOLDER,
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    assert promtool("check", "metrics", said=trio.run(exposition)) == b""


async def test_a_start_is_not_a_stuck_daemon() -> None:
    (line,) = re.findall(
        r"^nbad_last_tick_timestamp_seconds (.*)", Metrics().text().decode(), re.MULTILINE
    )
    assert abs(time.time() - float(line)) < 45


async def test_the_feed_is_down_and_its_age_grows_before_the_first_tick(
    autojump_clock: trio.abc.Clock,
) -> None:
    settings = Settings(Runtime(Config(), ToldModel()))
    live = Live(open_hub(settings), Statistics(), Metrics())
    await trio.sleep(3)
    told = live.metrics.text().decode()
    assert "nbad_feed_age_seconds 3.0" in told
    assert 'nbad_feed_state{state="down"} 1.0' in told
    assert live.unready() == ["no tick has been served yet, 3 s after the start"]
    tick = Tick(1, trio.current_time(), settings.current, FeedState.DOWN, 3.0)
    live.hub.note_feed(tick)
    live.served(tick)
    await trio.sleep(2)
    assert "nbad_feed_age_seconds 5.0" in live.metrics.text().decode()
    assert live.unready()[-1] == "the feed is down: no successful response for 5 s"


async def test_what_is_alerted_on_is_there_before_it_happens() -> None:
    watched = set(re.findall(r'event=~?"([a-z_|]+)"', (FOLDER / "alerts.yml").read_text()))
    text = Metrics().text().decode()
    for event in "|".join(watched).split("|"):
        assert re.search(rf'nbad_log_events_total{{event="{event}",level="\w+"}} 0.0', text), event
