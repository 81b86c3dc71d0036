"""Several relays on one port, watched by one process that serves nobody itself.

Each worker has its own listening socket on the common port (SO_REUSEPORT: the kernel distributes
new connections), and one for HTTP. The watcher opens them and keeps them open: clients that connect
while a worker is restarted wait in its queue. A worker notifies the watcher as a service notifies
systemd: readiness, status, watchdog.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
import trio

from nbad import __version__
from nbad.exit_codes import CONFIG, FAILED, OK, UNAVAILABLE, USAGE, end
from nbad.net.errors import first_error
from nbad.net.listeners import listening_socket
from nbad.observe.logs import Output, open_output
from nbad.relay.process import read_runtime
from nbad.settings.current import ToldModel
from nbad.settings.load import ConfigError
from nbad.settings.schema import Config, Http, Log, Server
from nbad.signals import Signals
from nbad.systemd.notify import Notifier

log = structlog.get_logger()

# A worker's reader moves every second: one that says nothing for so long is stuck.
_STUCK_S = 30.0
# From its start to its first word: the imports, and the log read once.
_START_S = 60.0
_RESTART_S = (0.2, 10.0)
# Where nobody serves yet, these end all of them. Where others serve they stay, whatever the file
# says meanwhile: the one that ended is tried again.
_HOPELESS = (USAGE, CONFIG, UNAVAILABLE)
_MOST_PORT = 65_535


@dataclass(slots=True)
class _Worker:
    """One worker: its sockets, its process while it runs, and what it said last."""

    number: int
    sockets: str
    descriptors: tuple[int, ...]
    ready: bool = False
    status: str = "starting"
    process: trio.Process | None = None
    reloaded: trio.Event = field(default_factory=trio.Event)


class _EndedError(Exception):
    """A worker ended in a way that ends all of them."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run_workers(path: Path | None, count: int, signals: Signals) -> int:
    """Watch ``count`` workers until told to end; return the exit code."""
    output = Output()
    try:
        config = read_runtime(path, ToldModel()).config
        output.use(config.log, open_output(config.log))
    except ConfigError as error:
        return end("relay", CONFIG, *error.problems)
    except OSError as error:
        return end("relay", CONFIG, f"log.file: expected a file to write, was: {error.strerror}")
    if (last := config.http.port + count - 1) > _MOST_PORT:
        what = f"http.port: expected one with {count - 1} more after it, was {config.http.port}"
        return end("relay", CONFIG, f"{what}: the last would be {last}")
    opened: list[socket.socket] = []
    try:
        workers = [_open_worker(config, number, opened) for number in range(count)]
    except OSError as error:
        what = f"[server] {config.server.host}:{config.server.port} or [http] "
        what += f"{config.http.host}:{config.http.port} and the {count - 1} after it"
        return end("relay", UNAVAILABLE, f"{what}: {error.strerror}; set others, or port 0")
    try:
        return trio.run(_watch, path, workers, config.log, output, signals)
    finally:
        output.drain()
        for sock in opened:
            sock.close()


def _open_worker(config: Config, number: int, opened: list[socket.socket]) -> _Worker:
    """The sockets of a worker. Raises OSError."""
    server, http = config.server, config.http
    if number and not server.port:
        # The free port that the first one took.
        server = server.model_copy(update={"port": opened[0].getsockname()[1]})
    if number and http.port:
        http = http.model_copy(update={"port": http.port + number})
    stream = _listen(server, share=True)
    opened += stream
    pages = _listen(http, share=False)
    opened += pages
    given = ":".join(",".join(str(sock.fileno()) for sock in each) for each in (stream, pages))
    return _Worker(number, given, tuple(sock.fileno() for sock in (*stream, *pages)))


def _listen(server: Server | Http, *, share: bool) -> list[socket.socket]:
    found = socket.getaddrinfo(
        server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # A name with two addresses would get two free ports, and only one can be told.
    return [
        listening_socket(family, kind, protocol, address, share=share)
        for family, kind, protocol, _, address in found[: 1 if server.port == 0 else None]
    ]


async def _watch(
    path: Path | None, workers: list[_Worker], in_force: Log, output: Output, signals: Signals
) -> int:
    notifier = Notifier()
    ending = trio.Event()
    code = OK
    log.info("starting", version=__version__, pid=os.getpid(), model=None)

    def send(number: int) -> None:
        for worker in workers:
            if worker.process is not None:
                worker.process.send_signal(number)

    def stop(signal_name: str) -> None:
        log.info("stopping", signal=signal_name)
        notifier.stopping()
        ending.set()
        send(signal.SIGTERM)

    asked = trio.Event()

    async def reload() -> None:
        """Pass each on to every worker, and tell the service manager once all have reloaded."""
        nonlocal asked, in_force
        while True:
            await asked.wait()
            asked = trio.Event()
            ready = all(worker.ready for worker in workers)
            if ready:
                notifier.reloading()
            with suppress(ConfigError), trio.move_on_after(_START_S):  # each worker tells of it
                runtime = await trio.to_thread.run_sync(
                    read_runtime, path, ToldModel(), abandon_on_cancel=True
                )
                in_force = runtime.config.log
            with suppress(OSError):  # also where the file is faulty: logrotate knows nothing of it
                output.use(in_force, open_output(in_force))
            for worker in workers:
                worker.reloaded = trio.Event()
            send(signal.SIGHUP)
            with trio.move_on_after(_START_S):
                for worker in workers:
                    await worker.reloaded.wait()
            if ready:
                notifier.ready("reloaded")

    # A second signal ends this process at once, and the workers with it: their input ends.
    signals.forward_to(end=stop, reload=lambda: asked.set(), cut=output.last_words("relay"))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload)
            async with trio.open_nursery() as running:
                for worker in workers:
                    keep = partial(_keep, path, worker, workers, ending, notifier)
                    running.start_soon(keep)
            nursery.cancel_scope.cancel()
    except* _EndedError as group:
        ended = first_error(group)
        code = ended.code if isinstance(ended, _EndedError) else FAILED
    log.info("stopped")
    return code


async def _keep(
    path: Path | None,
    worker: _Worker,
    workers: list[_Worker],
    ending: trio.Event,
    notifier: Notifier,
) -> None:
    """Run a worker, and another in its place where it ends unasked. Raises :class:`_EndedError`."""
    wait_s = _RESTART_S[0]
    while not ending.is_set():
        began = trio.current_time()
        was_ready = any(each.ready for each in workers)
        code = await _run_once(path, worker, workers, notifier)
        worker.process = None
        worker.reloaded.set()
        if ending.is_set():
            return
        nobody_serves = not (was_ready or any(each.ready for each in workers))
        worker.ready, worker.status = False, "starting"
        log.error("worker_ended", worker=worker.number, code=code)
        if code in _HOPELESS and nobody_serves:
            raise _EndedError(code)  # it has said why
        if trio.current_time() - began > 10 * _RESTART_S[1]:
            wait_s = _RESTART_S[0]
        with trio.move_on_after(wait_s):
            await ending.wait()
        wait_s = min(2 * wait_s, _RESTART_S[1])


async def _run_once(
    path: Path | None, worker: _Worker, workers: list[_Worker], notifier: Notifier
) -> int:
    """One life of a worker; its exit code."""
    command = [sys.executable, "-m", "nbad", "relay", "--sockets", worker.sockets]
    if path is not None:
        command += ["--config", str(path)]
    name = f"nbad-{secrets.token_hex(8)}"
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words:
        await words.bind("\0" + name)
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": f"@{name}",
            "WATCHDOG_USEC": str(round(_STUCK_S * 1e6)),
        }
        environ.pop("WATCHDOG_PID", None)
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process, command, check=False, env=environ,
                    pass_fds=worker.descriptors,
                    # It ends with us, and a Ctrl-C is for us, who then end it well.
                    stdin=subprocess.PIPE, start_new_session=True,
                )
            )  # fmt: skip
            worker.process = process
            log.info("worker_started", worker=worker.number, pid=process.pid)
            nursery.start_soon(_listen_to, words, worker, workers, notifier)
            await process.wait()
            nursery.cancel_scope.cancel()
    assert process.returncode is not None
    return process.returncode


async def _listen_to(
    words: trio.socket.SocketType, worker: _Worker, workers: list[_Worker], notifier: Notifier
) -> None:
    """Take in a worker's notifications, and kill it when they stop."""
    patience = _START_S
    while True:
        told = b""
        with trio.move_on_after(patience):
            told = await words.recv(4096)
        if not told:
            assert worker.process is not None
            log.error("worker_stuck", worker=worker.number, pid=worker.process.pid)
            worker.process.kill()
            return
        for line in told.decode(errors="replace").splitlines():
            if line.startswith("STATUS="):
                worker.status = line.removeprefix("STATUS=")
            elif line == "READY=1":
                patience = _STUCK_S
                worker.reloaded.set()
                if not worker.ready:
                    worker.ready = True
                    if all(each.ready for each in workers):
                        notifier.ready(_status(workers))
        if worker.ready:  # one that does not come up is no reason to end the others
            notifier.status(_status(workers))
            notifier.watchdog()


def _status(workers: list[_Worker]) -> str:
    return f"{len(workers)} workers: " + "; ".join(each.status for each in workers)
