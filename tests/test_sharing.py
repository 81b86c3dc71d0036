"""What a link shows where it is shared: the tags in the page's head, and a picture of the game."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from stream_kit import FakeSettings
from test_nights import client, ended

from nbad.recording import nights
from nbad.settings.schema import Config, Http, Record
from nbad.stages.server import open_hub
from nbad.web import preview
from nbad.web.drawing import Picture, text_width
from nbad.web.sharing import Previews
from nbad.web.words import game_in_words, odds, stands

LIVE: dict[str, Any] = {
    "status": "live", "period": 4, "clock_s": 108.0, "start_utc": "2026-01-19T19:30:00-05:00",
    "home": {"tricode": "CHI", "name": "Chicago Bulls", "score": 101},
    "away": {"tricode": "DAL", "name": "Dallas Mavericks", "score": 98}, "differential": 3,
    "forecast": {"home_win": 0.81}, "series": [[30.0 * n, 0.4 + n / 300] for n in range(92)],
}  # fmt: skip


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """A PNG's pixels, of shape (height, width, 3)."""
    image = Image.open(BytesIO(png), formats=["PNG"])
    assert image.mode == "RGB"
    return np.asarray(image)


def tag(page: str, name: str) -> str | None:
    found = re.search(f'<meta (?:property|name)="{name}" content="([^"]*)">', page)
    return found and found[1]


@pytest.fixture
def known(tmp_path: Path) -> FakeSettings:
    nights.keep(tmp_path, [nights.whole_game(ended(1, 100, 90))])
    return FakeSettings(Config(record=Record(path=tmp_path)))


async def test_a_shared_link_shows_words_and_a_picture_that_can_be_loaded(
    known: FakeSettings,
) -> None:
    async with client(open_hub(known), known) as http:
        for path in ("/game/0022500001", "/night/2026-01-19"):
            page = (await http.get(path, headers={"host": "nba.example:8780"})).text
            image = tag(page, "og:image")
            assert image == f"http://nba.example:8780{path}/preview.png"
            assert tag(page, "twitter:card") == "summary_large_image"
            assert tag(page, "og:image:alt")
            answer = await http.get(image)
            assert answer.headers["content-type"] == "image/png"
            assert pixels(answer.content).shape == (630, 1200, 3)
            again = {"if-none-match": answer.headers["etag"]}
            assert (await http.get(image, headers=again)).status_code == 304
            secure = {"host": "nba.example", "x-forwarded-proto": "https"}
            page = (await http.get(path, headers=secure)).text
            assert tag(page, "og:image") == f"https://nba.example{path}/preview.png"
        # What is shared with a token is loaded with it.
        page = (await http.get("/game/0022500001?token=a%22b", headers={"host": "h"})).text
        assert tag(page, "og:image") == "http://h/game/0022500001/preview.png?token=a%22b"
        for path in ("/game/0022500009/preview.png", "/night/2026-01-18/preview.png"):
            assert (await http.get(path)).status_code == 404


async def test_the_address_is_the_configured_one_or_none_where_the_host_is_no_address(
    known: FakeSettings,
) -> None:
    async with client(open_hub(known), known) as http:
        for host in ("a b", "h/x", 'h"><script>', "user@h", "h:port", "[::1", "h" * 300):
            page = (await http.get("/game/0022500001", headers={"host": host})).text
            assert tag(page, "og:image") is None
            assert tag(page, "og:title") == "DAL 90–100 CHI, Final"
            assert tag(page, "twitter:card") == "summary"
        strange = {"host": "[::1]:80", "x-forwarded-proto": "javascript"}
        page = (await http.get("/game/0022500001", headers=strange)).text
        assert tag(page, "og:image") == "http://[::1]:80/game/0022500001/preview.png"
        public = Http(public_url="https://nba.example/live")
        config = known.current.config.model_copy(update={"http": public})
        settings = FakeSettings(config)
        async with client(open_hub(settings), settings) as other:
            page = (await other.get("/game/0022500001", headers={"host": "[::1"})).text
        assert tag(page, "og:image") == "https://nba.example/live/game/0022500001/preview.png"


async def test_a_picture_is_drawn_once_for_each_state_and_so_many_a_second(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    from starlette.requests import Request

    drawn: list[object] = []

    def draw(game: object) -> bytes:
        drawn.append(game)
        return b"png"

    monkeypatch.setattr(preview, "game_picture", draw)
    request = Request({"type": "http", "headers": []})

    async def at_once(draw: Callable[[], bytes]) -> bytes:  # a clock that jumps awaits no thread
        await trio.sleep(0.03)
        return draw()

    previews = Previews(at_once)
    found = []

    async def ask(whole: bytes) -> None:
        found.append((await previews.game(request, whole)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask, b"0")
    assert (drawn, found) == ([0], [200] * 20)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(1, 101):
            nursery.start_soon(ask, b"%d" % number)
    assert trio.current_time() - begun <= 6  # who waits too long is told so
    assert found.count(503) == 120 - found.count(200) > 0
    assert len(drawn) == len(set(map(str, drawn))) <= 70
    # One that is there waits for none that is drawn.
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(101, 201):
            nursery.start_soon(ask, b"%d" % number)
        await trio.sleep(0.05)
        found.clear()
        await ask(str(drawn[-1]).encode())
        assert found == [200]
        assert trio.current_time() - begun == pytest.approx(0.05)
        nursery.cancel_scope.cancel()


def test_a_game_is_drawn_at_each_of_its_times() -> None:
    shown = pixels(preview.game_picture(LIVE))
    ground = shown[0, 0]
    # The home side's part of the bar is in its colour, as long as its chance.
    bar = (shown[573, 314:886] == (110, 163, 255)).all(axis=1).mean()
    assert abs(bar - 0.81) < 0.03
    # The curve ends where the game stands, 27 of 48 minutes before its end… and not beyond.
    curve = (shown[372:530] == (238, 241, 247)).all(axis=2).any(axis=0)
    assert abs(float(np.flatnonzero(curve).max()) - (64 + 1072 * 2772 / 2880 + 9)) <= 2
    final = LIVE | {"status": "final", "clock_s": 0.0, "period": 7}
    overtimes = pixels(preview.game_picture(final))
    marks = [x for x in range(1200) if (overtimes[520, x] != ground).any() and x > 64]
    assert marks  # three overtimes have their lines too
    for others in (
        {"status": "scheduled", "period": 0},
        {"status": "scheduled", "period": 0, "start_utc": None, "forecast": None},
        {"status": "postponed", "period": 0, "forecast": None},
        {"status": "halftime", "period": 2, "clock_s": 0.0, "series": []},
        {"status": "final", "clock_s": 0.0, "forecast": None, "differential": 0},
    ):
        assert pixels(preview.game_picture(LIVE | others)).shape == (630, 1200, 3)
    for count in (0, 1, 4, 9, 15, 40):
        shown = pixels(preview.night_picture("NBA games of 2026-01-19", [LIVE] * count))
        assert (shown[:, -40:] == ground).all()  # nothing beyond the edge


@given(st.text(max_size=40), st.integers(8, 60))
def test_any_name_can_be_drawn_within_its_room(name: str, size: int) -> None:
    picture = Picture(300, 80, (0, 0, 0))
    picture.text(10, 60, name, size, (255, 255, 255))
    assert pixels(picture.png()).shape == (80, 300, 3)
    fitting, small = preview._fitting(name, size, 200)
    assert not fitting or text_width(fitting, small) <= 200


def test_a_game_is_put_in_words() -> None:
    assert game_in_words(LIVE) == (
        "DAL 98–101 CHI, Q4 1:48",
        "Dallas Mavericks at Chicago Bulls. Chicago Bulls: 81% to win.",
    )
    assert stands(LIVE | {"clock_s": 8.3}) == "Q4 8.3"
    assert stands(LIVE | {"period": 6, "clock_s": 0.0}) == "End 2OT"
    assert stands(LIVE | {"status": "final", "period": 5}) == "Final/OT"
    assert stands(LIVE | {"status": "scheduled"}) == "2026-01-20 00:30 UTC"
    for none in (None, "TBD", "9999-12-31T23:00:00-05:00"):
        assert stands(LIVE | {"status": "scheduled", "start_utc": none}) == "Scheduled"
    assert [odds(p) for p in (0.001, 0.495, 0.999)] == [
        (">99%", "<1%"), ("50%", "50%"), ("<1%", ">99%"),
    ]  # fmt: skip
