"""Behind nginx with TLS, as examples/nginx-tls.conf has it: the page, the stream, the events."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import trio
import trustme
from daemon_kit import Daemon, serving
from process_kit import start

from nbad.client import Batch, Dropped, Snapshot, connect

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
EXAMPLE = Path(__file__).parent.parent / "examples/nginx-tls.conf"

pytestmark = [pytest.mark.skipif(NGINX is None, reason="needs nginx"), pytest.mark.slow]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def configuration(folder: Path, port: int, stream: int, http: int) -> Path:
    """The example, at free ports and with a certificate of a test's own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    pair = authority.issue_cert("localhost")
    pair.private_key_and_cert_chain_pem.write_to_path(folder / "pair.pem")
    text = EXAMPLE.read_text()
    for was, now in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("127.0.0.1:8765", f"127.0.0.1:{stream}"),
        ("127.0.0.1:8780", f"127.0.0.1:{http}"),
        ("/etc/letsencrypt/live/nbad.example/fullchain.pem", str(folder / "pair.pem")),
        ("/etc/letsencrypt/live/nbad.example/privkey.pem", str(folder / "pair.pem")),
    ):
        assert was in text
        text = text.replace(was, now)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    whole = folder / "nginx.conf"
    whole.write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off;"
        f"events {{}} http {{ access_log off; {paths} {text} }}"
    )
    return whole


@pytest.mark.soak
def test_the_page_and_the_stream_through_a_restart(tmp_path: Path) -> None:
    port, stream, http = free_port(), free_port(), free_port()
    config = configuration(tmp_path, port, stream, http)
    tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    server = f"[server]\nport = {stream}\n[http]\nport = {http}\n"
    with serving("--games", "2", "--seed", "4", "--speed", "60") as urls:
        daemon = Daemon(tmp_path / "daemon", *urls, server=server)
        daemon.wait_for("ready")
        assert NGINX
        nginx = start([NGINX, "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.DEVNULL)

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
        nginx.terminate()
        nginx.wait(10)
        assert daemon.end() == 0


def wait_until_answered(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            client.get("/livez")
        except httpx.TransportError:
            trio.run(trio.sleep, 0.05)
        else:
            return
    raise AssertionError("nginx does not answer")
