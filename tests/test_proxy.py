"""Behind nginx and Caddy with TLS, as in examples/: the page, the stream, the events."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio
import trustme
from daemon_kit import Daemon, serving
from nginx_kit import nginx, program
from port_kit import free_port
from process_kit import start

from nbad.client import Batch, Dropped, Snapshot, connect

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.slow


def example(name: str, changes: dict[str, str]) -> str:
    """A file of examples/, changed where it must be."""
    text = (EXAMPLES / name).read_text()
    for was, now in changes.items():
        assert was in text
        text = text.replace(was, now)
    return text


def our_nginx(folder: Path, port: int, daemon: dict[str, str]) -> list[str]:
    """The command that runs the example, at a free port and with a certificate of the test's."""
    lives = "/etc/letsencrypt/live/nbad.example"
    text = example("nginx-tls.conf", daemon | {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        f"{lives}/fullchain.pem": str(folder / "pair.pem"),
        f"{lives}/privkey.pem": str(folder / "pair.pem"),
    })  # fmt: skip
    return nginx(folder, f"access_log off; {text}")


def caddy(folder: Path, port: int, daemon: dict[str, str]) -> list[str]:
    """The same of Caddy, which here gets no certificate by itself."""
    pair = folder / "pair.pem"
    site = f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {pair} {pair}"
    text = example("Caddyfile", daemon | {"nbad.example {": site})
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]


def test_caddy_finds_no_fault_with_its_example() -> None:
    command = [program("caddy"), "adapt", "--validate", "--config", str(EXAMPLES / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"level":"warn"' not in done.stderr


@pytest.mark.parametrize("configured", [our_nginx, caddy])
def test_the_page_and_the_stream_through_a_restart(
    configured: Callable[[Path, int, dict[str, str]], list[str]], tmp_path: Path
) -> None:
    port, stream, http = free_port(), free_port(), free_port()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pair = authority.issue_cert("localhost").private_key_and_cert_chain_pem
    pair.write_to_path(tmp_path / "pair.pem")
    addresses = {
        "127.0.0.1:8765": f"127.0.0.1:{stream}", "127.0.0.1:8780": f"127.0.0.1:{http}",
    }  # fmt: skip
    command = configured(tmp_path, port, addresses)
    tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    server = f"[server]\nport = {stream}\n[http]\nport = {http}\n"
    with serving("--games", "2", "--seed", "4", "--speed", "60") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls, server=server)
        daemon.wait_for("ready")
        environ = os.environ | {"HOME": str(tmp_path)}
        proxy = start(command, stderr=subprocess.DEVNULL, env=environ)

        async def follow() -> None:
            url = f"wss://localhost:{port}/v1/stream"
            seen = 0
            with trio.fail_after(60):
                async with connect(url, tls=tls) as feed:
                    restarted = False
                    async for message in feed:
                        if isinstance(message, Dropped):
                            assert "gap" not in message.reason
                            assert restarted
                        seen += isinstance(message, Snapshot | Batch)
                        if seen == 5 and not restarted:
                            restarted = True
                            await trio.to_thread.run_sync(daemon.end)
                            daemon.start()
                        if seen == 15:
                            return

        with httpx.Client(base_url=f"https://localhost:{port}", verify=tls) as client:
            wait_until_answered(client)
            assert "<title>nbad" in client.get("/").text
            assert client.get("/v1/games").json()["games"]
            assert client.get("/metrics").status_code == 404
            with client.stream("GET", "/v1/events") as events:
                told = events.iter_lines()
                assert "event: snapshot" in (next(told) for _ in range(5))
        trio.run(follow)
        proxy.terminate()
        proxy.wait(60)
        assert daemon.end() == 0


def wait_until_answered(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            client.get("/livez")
        except httpx.TransportError:
            trio.run(trio.sleep, 0.05)
        else:
            return
    raise AssertionError("the proxy does not answer")
