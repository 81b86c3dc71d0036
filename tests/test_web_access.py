"""Who may read what over HTTP: tokens, origins, and the headers that browsers go by."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from stream_kit import FakeSettings, make_game, runtime

from nbad.net.asgi import asgi
from nbad.net.http import Exchange, Request
from nbad.observe.metrics import Metrics
from nbad.observe.statistics import Statistics
from nbad.settings.schema import Config, Http, Server
from nbad.stages.server import open_hub
from nbad.web.app import make_app
from nbad.web.pages import HEADERS
from nbad.web.status import Live

DATA = ("/", "/v1/games", "/v1/games/0022500001", "/v1/stats", "/v1/about", "/v1/openapi.json")
OPEN = ("/livez", "/readyz", "/style.css", "/page.js", "/icon.svg")


def client(settings: FakeSettings) -> httpx.AsyncClient:
    app = make_app(Live(open_hub(settings), Statistics(), Metrics()), settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://evil.example")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# ours\nabc\ndef\n")
    return path


async def test_data_wants_the_token_where_the_stream_does(tokens: Path) -> None:
    settings = FakeSettings(Config(server=Server(tokens_file=tokens)))
    async with client(settings) as http:
        for path in DATA:
            refused = await http.get(path)
            assert refused.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
            assert (await http.get(f"{path}?token=abd")).status_code == 401
            assert (await http.get(f"{path}?token=abc")).status_code != 401
            bearer = {"authorization": "Bearer def"}
            assert (await http.get(path, headers=bearer)).status_code != 401
            assert (await http.get(path, headers={"authorization": "Basic def"})).status_code == 401
        for path in OPEN:
            assert (await http.get(path)).status_code in (200, 503), path
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/nothing-here")).status_code == 401  # and not what there is
        settings.replace(runtime(settings.current.config.model_copy(
            update={"http": Http(open_metrics=False)})))  # fmt: skip
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/metrics?token=abc")).status_code == 200
        await trio.Path(tokens).write_text("def\n")
        settings.change()  # a reload withdraws the other
        assert (await http.get("/v1/games?token=abc")).status_code == 401


async def test_without_tokens_all_is_open() -> None:
    async with client(FakeSettings(Config())) as http:
        for path in (*DATA, *OPEN, "/metrics"):
            assert (await http.get(path)).status_code in (200, 503, 404), path


async def test_origins_are_those_of_the_stream() -> None:
    page = {"origin": "https://app.example"}
    other = {"origin": "https://evil.example"}
    settings = FakeSettings(Config())
    async with client(settings) as http:
        answer = await http.get("/v1/games", headers=other)
        assert answer.headers["access-control-allow-origin"] == "*"
        settings.change(allowed_origins=["https://app.example"])
        answer = await http.get("/v1/games", headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["vary"] == "origin"
        assert (
            "access-control-allow-origin"
            not in (await http.get("/v1/games", headers=other)).headers
        )
        asked = {"access-control-request-method": "GET"}
        preflight = await http.options("/v1/games", headers=page | asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize("path", ["/v1/games/", "//evil.example/%2e%2e", "/v1/games?x", "/nope"])
async def test_the_host_asked_for_is_echoed_nowhere(path: str) -> None:
    async with client(FakeSettings(Config())) as http:
        answer = await http.get(path)
        assert answer.status_code in (200, 404)
        assert "location" not in answer.headers
        assert b"evil.example" not in answer.content


async def test_a_file_of_the_page_is_sent_once() -> None:
    async with client(FakeSettings(Config())) as http:
        first = await http.get("/page.js")
        again = await http.get("/page.js", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await http.get("/page.js", headers={"if-none-match": '"0"'})
        assert other.content == first.content


async def test_the_page_is_light() -> None:
    """All its files compressed; those before the first cards are a fourth of that at most."""
    async with client(FakeSettings(Config())) as http:
        weights = {}
        for file in files("nbad.web").joinpath("static").iterdir():
            path = "/" if file.name == "index.html" else f"/{file.name}"
            async with http.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
                weights[file.name] = sum([len(part) async for part in answer.aiter_raw()])
    assert "page.js" in weights
    assert sum(weights.values()) < 100_000
    later = {"opened.js", "boxscore.js", "past.js", "nbad.js", "nbad.d.ts"}
    assert sum(size for name, size in weights.items() if name not in later) < 25_000


async def test_every_answer_has_the_headers_that_browsers_go_by() -> None:
    live = Live(open_hub(FakeSettings(Config())), Statistics(), Metrics())
    answer = asgi(make_app(live, FakeSettings(Config())))
    for path in ("/", "/v1/games", "/nope", "/livez", "/style.css"):
        exchange = Told(Request("GET", path, ((b"host", b"h"),), b""))
        await answer(exchange)
        names = [name.lower() for name, _ in exchange.headers]
        assert len(names) == len(set(names)), path
        assert {name for name, _ in HEADERS} <= set(names)
    assert "frame-ancestors 'none'" in dict(HEADERS)["content-security-policy"]


class Told(Exchange):
    """Keeps the head of the answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.headers: list[Any] = []

    def start(self, status: int, headers: Any) -> None:
        given = list(headers)
        self.headers = given + [h for h in HEADERS if h[0] not in dict(given)]

    async def send(self, body: bytes = b"") -> None: ...

    async def end(self, body: bytes = b"") -> None: ...


async def test_the_page_holds_the_night_it_was_sent_in_and_no_name_ends_its_script() -> None:
    settings = FakeSettings(Config())
    hub = open_hub(settings)
    game = make_game(1, 12, 10)
    entry = game.update.entry
    named = entry.home._replace(name="</script><b>Homes")
    game = game._replace(update=game.update._replace(entry=entry._replace(home=named)))
    app = make_app(Live(hub, Statistics(), Metrics()), settings)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://nbad") as http:
        mark = '<script type="application/json" id="night">'
        assert f"{mark}</script>" in (await http.get("/")).text  # nothing is known yet
        hub.journal.apply(1, (game,), hub.journal.encode((game,)), {})
        told = (await http.get("/")).text.split(mark)[1].split("</script>")[0]
        assert json.loads(told) == (await http.get("/v1/games")).json()["games"]
        assert json.loads(told)[0]["home"]["name"] == "</script><b>Homes"
        later = (make_game(1, 14, 10),)
        hub.journal.apply(2, later, hub.journal.encode(later), {})
        for _ in range(2):
            told = (await http.get("/")).text.split(mark)[1].split("</script>")[0]
            assert json.loads(told)[0]["home"]["score"] == 14
