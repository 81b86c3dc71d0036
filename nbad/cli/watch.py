"""``nbad watch``: the night as a live table in the terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from urllib.parse import urlsplit

import trio

from nbad.cli.render import line
from nbad.cli.run import add_config, address, configured
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.settings.load import ConfigError
from nbad.settings.schema import Server

_SHOWN = "ws://127.0.0.1:8765/v1/stream"


class NoStreamError(Exception):
    """The page at an address did not say where the stream is."""


HELP = "a live table of games in the terminal"
DESCRIPTION = (
    "Shows the games of a running daemon, closest games first, until Ctrl-C or q. "
    "Keys: up and down choose a game, Enter opens it (curve, leaders, plays), Esc closes it, "
    "f shows all games, those in play, or the close ones."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "url", nargs="?", metavar="URL",
        help=f"the stream ({_SHOWN}) or the page (http://HOST:PORT/); "
        "default: the [server] of the configuration, on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--plain", action="store_true",
        help="print a line per change, with its time; the default where the output is no terminal",
    )  # fmt: skip
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 ended by Ctrl-C, 64 no such URL, 69 no daemon there, 78 a wrong configuration,
    1 not let in."""
    from nbad.client import DroppedError, RefusedError

    try:
        config = configured(args)
        url = args.url or _stream(config.server)
    except ConfigError as error:
        return end("watch", CONFIG, *error.problems)
    if not _is_address(url):
        return end(
            "watch",
            USAGE,
            f"expected ws://HOST:PORT/v1/stream, or http://HOST:PORT/ of the page, was {url!r}",
        )
    try:
        trio.run(_watch, url, config.http.port, args.plain or not _is_screen())
    except KeyboardInterrupt:
        return OK
    except (DroppedError, NoStreamError) as error:
        section = "http" if isinstance(error, NoStreamError) else "server"
        hint = f"is the daemon running, and is this its [{section}] address?"
        return end("watch", UNAVAILABLE, f"{url}: {error}; {hint}")
    except RefusedError as error:
        return end("watch", FAILED, f"{url}: {error}")
    return OK


def _stream(server: Server) -> str:
    """The stream of the daemon that runs here with this configuration."""
    return f"{'wss' if server.tls_cert else 'ws'}://{address(server)}/v1/stream"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("ws", "wss", "http", "https")
        return known and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port number
        return False


def _is_screen() -> bool:
    """Whether a table can be drawn: a terminal that can move its cursor, and rich to draw it."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb"):
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        sys.stderr.write("nbad watch: plain lines; for a table: pip install 'nbad[watch]'\n")
        return False
    return True


async def _watch(address: str, http_port: int, plain: bool) -> None:
    url = await _stream_of(address) if address.startswith("http") else address
    if plain:
        await _plain(url)
        return
    from nbad.cli.screen import show

    await show(url, _page_of(address, http_port))


def _page_of(address: str, http_port: int) -> str:
    """The page beside a stream: behind a proxy at the same address, else on its own port. That one
    has no TLS: what goes to a stream that has it, a token perhaps, stays on this machine."""
    parts = urlsplit(address)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.port is None or not (parts.scheme == "ws" or (parts.scheme == "wss" and here)):
        return parts._replace(scheme=scheme, path="/").geturl()
    host = parts.netloc.rpartition(":")[0]
    return parts._replace(scheme="http", netloc=f"{host}:{http_port}", path="/").geturl()


async def _stream_of(page: str) -> str:
    """The stream beside a page, which says where it is."""
    import httpx

    parts = urlsplit(page)
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        async with httpx.AsyncClient(timeout=5.0) as client:
            answer = await client.get(f"{base}/v1/about")
            stream = answer.raise_for_status().json()["stream"]
            path, port = str(stream["path"]), int(stream["port"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise NoStreamError(f"expected a daemon's page, was: {error}") from None
    # Without a port of its own the page is behind a proxy, and the stream beside it.
    tls = parts.scheme == "https" or (parts.port and stream.get("tls"))
    scheme = "wss" if tls else "ws"
    netloc = f"{parts.netloc.rpartition(':')[0]}:{port}" if parts.port else parts.netloc
    return f"{scheme}://{netloc}{path}{f'?{parts.query}' if parts.query else ''}"


async def _plain(url: str) -> None:
    """A line per change, each once."""
    told: dict[str, str] = {}
    async with aclosing(_changes(url)) as changes:
        async for about, text in changes:
            if told.get(about) != text:
                told[about] = text
                prefix = f"{about} " if about else ""
                sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S} {prefix}{text}\n")
                sys.stdout.flush()


async def _changes(url: str) -> AsyncGenerator[tuple[str, str], None]:
    """What a message tells: a game's id and its line; of the connection and the feed under ""."""
    from nbad.client import Batch, Dropped, Heartbeat, Snapshot, Welcome, connect

    async with connect(url) as feed:
        async for message in feed:
            if isinstance(message, Snapshot | Batch):
                games = message.games if isinstance(message, Snapshot) else message.messages
                for game in games:
                    yield game.game_id, line(game)
            if isinstance(message, Dropped):
                yield "", f"reconnecting: {message.reason}"
            elif isinstance(message, Welcome | Heartbeat | Snapshot) and message.feed:
                yield "", f"feed {message.feed}"
