"""The dashboard and the alert rules speak of metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from nbad.config import Config
from nbad.messages import Channel, InForce, Tick
from nbad.model.forecaster import Forecaster
from nbad.web.metrics import Metrics

FOLDER = Path(__file__).parent.parent / "monitoring"
GUIDE = FOLDER.parent / "docs" / "operations.md"
_NAME = re.compile(r"nbad_[a-z_]+")


async def exposed() -> set[str]:
    metrics = Metrics()
    metrics.count("warning", "feed_refused")
    tick = Tick(1, trio.current_time(), InForce(Config(), Forecaster.load()))
    tick.timing_ms["poll"] = tick.timing_ms["total"] = 3.0
    tick.errors["poll"] = 1
    tick.channels["parse"] = Channel(0, 0.001, 2)
    metrics.served(tick, 3, 2)
    families = text_string_to_metric_families(metrics.text().decode())
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
