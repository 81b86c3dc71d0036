"""An ASGI application (HTTP alone) as a handler of :mod:`nbad.net.http`."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

from nbad.net.http import Exchange, Handler


def asgi(app: Any) -> Handler:
    """A handler that has an ASGI application answer."""

    async def handle(exchange: Exchange) -> None:
        request = exchange.request
        path, _, query = request.target.partition("?")
        asked = True

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                asked = False
                return {"type": "http.request", "body": request.body, "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                pairs = (
                    (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers
                )
                exchange.start(message["status"], pairs)
            elif message.get("more_body", False):
                await exchange.send(message.get("body", b""))
            else:
                await exchange.end(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": request.headers,
        }
        await app(scope, receive, send)

    return handle
