"""Who may come in: TLS, tokens, origins, how many of an address; and that reloads keep it so."""

from __future__ import annotations

import contextlib
import math
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from port_kit import free_port
from stream_kit import HOST, FakeSettings, Stage, head, make_clock, make_game, running
from structlog.testing import capture_logs
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from nbad.client import Dropped, DroppedError, Reconnect, RefusedError, connect
from nbad.settings.access import load_access
from nbad.settings.schema import Config, Server
from nbad.stages.server import open_hub


@pytest.fixture
def clock() -> MockClock:
    return make_clock()


def url(stage: Stage, query: str = "") -> str:
    return f"ws://{HOST}:{stage.port}/v1/stream{query}"


async def status(stage: Stage, target: str = "/v1/stream", **headers: str) -> bytes:
    """The status line's code that such a request is answered with."""
    raw = await stage.connect()
    await raw.send(head(target, {name.title(): value for name, value in headers.items()}))
    return (await raw.until(b"\r\n"))[9:12]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# ours\nalpha-1\n\n  beta-2  \n")
    return path


async def test_a_token_by_header_and_by_url(clock: MockClock, tokens: Path) -> None:
    async with running(tokens_file=tokens) as stage:
        assert await status(stage) == b"401"
        assert await status(stage, authorization="Bearer alpha-2") == b"401"
        assert await status(stage, authorization="Basic alpha-1") == b"401"
        assert await status(stage, "/v1/stream?token=%23") == b"401"
        assert await status(stage, "/v1/stream?token=beta-2") == b"101"
        assert await status(stage, authorization="bearer alpha-1") == b"101"
        async with connect(url(stage), token="alpha-1") as feed:
            await anext(feed)
        with pytest.raises(RefusedError, match="401 expected a token"):
            async with connect(url(stage), token="gamma"):
                pass


async def test_a_token_withdrawn_at_any_moment_of_a_handshake_lets_nobody_stay(
    clock: MockClock, tokens: Path, tmp_path: Path
) -> None:
    without = tmp_path / "without"
    await trio.Path(without).write_text("beta-2\n")
    async with running(tokens_file=tokens) as stage:
        await stage.tick(make_game(0))
        upgraded = 0
        for steps in range(40):
            raw = await stage.connect()
            await raw.send(head("/v1/stream?token=alpha-1"))
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            stage.settings.change(tokens_file=without)
            if b" 101 " in await raw.until(b"\r\n"):
                upgraded += 1
                await raw.until(b"\r\n\r\n")
                with trio.fail_after(30):
                    while (await raw.frame())[0] != 8:
                        pass
            await raw.stream.aclose()
            stage.settings.change(tokens_file=tokens)
        assert upgraded


async def test_a_token_withdrawn_ends_its_own_and_no_others(clock: MockClock, tokens: Path) -> None:
    async with running(tokens_file=tokens) as stage:
        await stage.tick(make_game(0))
        async with stage.client("?token=beta-2") as stays, stage.client("?token=alpha-1") as goes:
            await stays.expect("welcome")
            await stays.expect("snapshot")
            await trio.Path(tokens).write_text("beta-2\nnew-3\n")
            stage.settings.change(tokens_file=tokens)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await goes.get()
            assert goes.ws.closed is not None
            assert goes.ws.closed.code == 1008
            await stage.tick(make_game(0, 1))
            await stays.expect("batch")
        assert await status(stage, authorization="Bearer alpha-1") == b"401"
        assert await status(stage, authorization="Bearer new-3") == b"101"


async def test_origins(clock: MockClock) -> None:
    async with running(allowed_origins=["https://a.example"]) as stage:
        assert await status(stage, origin="https://b.example") == b"403"
        assert await status(stage, origin="https://a.example.b.example") == b"403"
        assert await status(stage, origin="https://A.example") == b"101"
        assert await status(stage) == b"101"


async def test_most_of_one_address(clock: MockClock) -> None:
    async with running(max_subscribers_per_address=2) as stage:
        async with stage.client() as one, stage.client() as two:
            await one.expect("welcome")
            await two.expect("welcome")
            async with stage.client() as three:
                with pytest.raises(ConnectionClosed):
                    await three.get()
                assert three.ws.closed is not None
                assert three.ws.closed.code == 4013
        while stage.hub.count:
            await trio.lowlevel.checkpoint()
        async with stage.client() as again:
            await again.expect("welcome")


async def test_tls_whole_and_with_a_new_certificate(clock: MockClock, tmp_path: Path) -> None:
    pem = tmp_path / "both.pem"

    def issue() -> ssl.SSLContext:
        authority = trustme.CA()
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(pem))
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    old = issue()
    async with running(tls_cert=pem) as stage:
        await stage.tick(make_game(0, pad=300_000))
        address = url(stage).replace("ws:", "wss:")
        async with connect(address, tls=old) as feed:
            while feed.seq < 1:
                await anext(feed)
            new = issue()
            stage.settings.change(tls_cert=pem)
            with pytest.raises(DroppedError):
                async with connect(address, tls=old):
                    pass
            async with connect(address, tls=new) as renewed:
                while renewed.seq < 1:
                    await anext(renewed)
            await stage.tick(make_game(0, 3, pad=300_000))
            while feed.seq < 2:
                await anext(feed)
            assert feed.games["0022500000"].home.score == 3
            assert feed.drops == 0
            with pytest.raises(DroppedError):
                async with connect(url(stage)):
                    pass
            stage.end()
            assert isinstance(await anext(feed), Reconnect)
            message = await anext(feed)
            assert isinstance(message, Dropped)
            assert "1001" in message.reason


def issue_until(pem: Path, *moments: datetime) -> None:
    """A certificate that expires at the first of ``moments``, and more of its chain."""
    leaf, *more = (trustme.CA().issue_cert(HOST, not_after=moment) for moment in moments)
    chain = b"".join(each.cert_chain_pems[0].bytes() for each in more)
    pem.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + chain)


@pytest.mark.parametrize("years", [[2031], [2051], [2049, 2050, 2048]])
def test_when_a_certificate_expires(tmp_path: Path, years: list[int]) -> None:
    """From 2050 on its year has four digits."""
    moments = [datetime(year, 2, 28, 23, 59, 1, tzinfo=UTC) for year in years]
    issue_until(tmp_path / "pem", *moments)
    problems: list[str] = []
    access = load_access(Server(tls_cert=tmp_path / "pem"), problems)
    assert not problems
    assert access.tls_until == min(moments).timestamp()


@pytest.mark.parametrize("wrong", ["a remark that quotes its first line", "a day that is none"])
def test_a_certificate_that_openssl_takes_is_taken(tmp_path: Path, wrong: str) -> None:
    """Such a file is none of ours to refuse, and must not end a daemon that reloads."""
    pem, moment = tmp_path / "pem", datetime(2031, 2, 28, tzinfo=UTC)
    issue_until(pem, moment)
    until = moment.timestamp()
    text = pem.read_text()
    if wrong == "a day that is none":
        key, _, certificate = text.partition(ssl.PEM_HEADER)
        der = ssl.PEM_cert_to_DER_cert(ssl.PEM_HEADER + certificate)
        text = key + ssl.DER_cert_to_PEM_cert(der.replace(b"310228000000Z", b"310231000000Z"))
        until = math.inf
    pem.write_text(f"# für die mit {ssl.PEM_HEADER} am Anfang\n{text}", "utf-8")
    problems: list[str] = []
    assert load_access(Server(tls_cert=pem), problems).tls_until == until
    assert not problems


async def test_a_certificate_that_expires_is_told_at_the_start_at_a_reload_and_daily(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    good, old = tmp_path / "good", tmp_path / "old"
    issue_until(good, now + timedelta(days=15))
    issue_until(old, now - timedelta(hours=30))
    settings = FakeSettings(Config(server=Server(tls_cert=old)))
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_hub(settings).keep_access)
            for file, stays_s in ((good, 3600.0), (old, 1.5 * 86_400)):
                await trio.sleep(3600.0)
                settings.change(tls_cert=file)
                await trio.sleep(stays_s)
            nursery.cancel_scope.cancel()
    told = [log for log in logs if log["event"] == "certificate_expires"]
    assert [(log["file"], log["days"], log["log_level"]) for log in told] == [
        (str(old), -2, "warning")
    ] * 3
    assert told[0]["at"].startswith(f"{now - timedelta(hours=30):%Y-%m-%dT%H:%M:%S}")


async def test_the_same_port_at_another_host(clock: MockClock) -> None:
    port = free_port()
    async with running(port=port) as stage:
        await stage.tick(make_game(0))
        async with connect(url(stage)) as feed:
            for host in ("0.0.0.0", HOST, "0.0.0.0"):
                stage.settings.change(host=host)
                for _ in range(20):
                    assert await status(stage) == b"101"
            raw = trio.socket.socket()
            await raw.connect(("127.0.0.2", port))  # only the wider address takes this one
            raw.close()
            # And nobody else can take the port from under it.
            with pytest.raises(OSError, match="in use"):
                await trio.open_tcp_listeners(port, host=HOST)
            await stage.tick(make_game(0, 1))
            while feed.seq < 2:
                await anext(feed)
            assert feed.drops == 0


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("# none\n")
    missing = tmp_path / "missing"
    problems: list[str] = []
    load_access(Server(tls_cert=bad, tokens_file=bad), problems)
    load_access(Server(tls_key=missing, tokens_file=missing), problems)
    bad.write_text("two words\n")
    load_access(Server(tokens_file=bad), problems)
    starts = ["tls_cert: expected a PEM", "tokens_file: expected a token", "tls_cert: expected the"]
    starts += ["tokens_file: expected a readable file", "tokens_file: line 1: expected printable"]
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(f"server.{start}")
    assert "two words" not in "".join(problems)


def test_a_key_with_a_password_and_one_that_is_gone_are_told(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(trustme.CA().issue_cert("localhost").cert_chain_pems[0].bytes())
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    key.write_bytes(encrypted)
    problems: list[str] = []
    load_access(Server(tls_cert=certificate, tls_key=key), problems)
    load_access(Server(tls_cert=certificate, tls_key=tmp_path / "gone"), problems)
    assert "its key needs a password" in problems[0]
    assert problems[1].startswith("server.tls_key: expected a readable file, was ")
