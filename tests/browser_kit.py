"""A headless Chromium, spoken to over its own protocol (CDP): no driver, no downloads."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from process_kit import start
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
# Of the package no more than this file: it would drive a browser itself.
AXE = files("axe_playwright_python").joinpath("axe.min.js")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-port=0", "--hide-scrollbars",
]  # fmt: skip


class Browser:
    """A running browser; what it is asked is answered before it is asked the next."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def call(self, method: str, session: str = "", **params: Any) -> Any:
        """Send a command, to one of its pages or to itself; return its result, events passed over.

        Raises AssertionError where it is refused.
        """
        number = next(self._numbers)
        command: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        self._connection.send(json.dumps(command))
        while True:
            answer = json.loads(self._connection.recv(timeout=90))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    @contextlib.contextmanager
    def tab(self) -> Iterator[Tab]:
        """A page that shares nothing with others: as one of a browser with an empty profile."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        yield Tab(self, context)
        self.call("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """One page of the browser."""

    def __init__(self, browser: Browser, context: str) -> None:
        self._browser = browser
        self.context = context
        of = {"browserContextId": context}
        target = browser.call("Target.createTarget", url="about:blank", **of)["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def call(self, method: str, **params: Any) -> Any:
        """Send the page a command; return its result."""
        return self._browser.call(method, self._session, **params)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, a promise's awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_until(self, condition: str, seconds: float = 60) -> None:
        """Wait in the page, drawn frame by drawn frame, until an expression is true."""
        held = self.evaluate(
            f"new Promise((done) => {{ const late = performance.now() + {seconds * 1e3};"
            f"(function look() {{ if ({condition}) done(true);"
            f" else if (performance.now() > late) done(false); else setTimeout(look, 30); }})() }})"
        )
        assert held, f"never: {condition}; page: {self.evaluate('document.body.innerText')[:2000]}"

    def click(self, selector: str) -> None:
        """Click on the first that is found, once there is one, in the same step."""
        self.wait_until(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found?.click(); return found !== null })()"
        )

    def look(self, width: int, height: int, *, dark: bool = False, mobile: bool = False) -> None:
        """Be a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def violations(self) -> list[str]:
        """What axe-core finds against the page as it is now, in light and in dark."""
        if not self.evaluate("'axe' in window"):
            self.evaluate(f"{AXE.read_text()}; null")
        found = []
        for scheme in ("dark", "light"):
            self.call(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": scheme}],
            )
            found += self.evaluate(
                "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>"
                " violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`))"
            )
        return found

    def screenshot(self, file: Path) -> None:
        """Keep what is seen, as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A new browser with an empty profile."""
    assert CHROMIUM
    process = start(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    mark = "DevTools listening on "
    url = next(line for line in process.stderr if line.startswith(mark))[len(mark) :].strip()
    # Kept drained, or the browser would block on a full pipe.
    start(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    # No pings: their thread draws from `random` while another test's laws draw examples.
    with connect(url, max_size=None, ping_interval=None) as connection:
        yield Browser(connection)
        connection.send('{"id": 0, "method": "Browser.close"}')
    process.wait(60)
