"""``nbad record``: every payload the feed sends, kept."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from nbad.cli.run import add_config
from nbad.exit_codes import CONFIG, OK, USAGE, end, leave
from nbad.settings.files import try_folder, try_folders, try_log
from nbad.settings.load import ConfigError, find, load, read_values

if TYPE_CHECKING:
    from nbad.observe.logs import Output
    from nbad.settings.current import Runtime
    from nbad.signals import Signals


HELP = "keep every payload the feed sends, byte for byte"
DESCRIPTION = (
    "Polls the feed as the daemon would, predicts nothing, and keeps every "
    "payload, compressed, with its headers and its arrival time, until SIGTERM or SIGINT. "
    "SIGHUP reloads."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_config(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write; default: [record] path of the configuration",
    )


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 ended as asked, 64 no folder to write to, 78 wrong configuration."""
    from nbad.signals import Signals

    signals = Signals()  # heard from now on: what is imported below takes a while
    from nbad.observe.logs import Output

    output = Output()
    path = find(args.config)
    out: Path | None = args.out
    try:
        if out is not None:
            try:
                try_folder(out)
            except OSError as error:
                problem = f"--out {out}: expected a folder to write to, was: {error.strerror}"
                return end("record", USAGE, problem)
        elif load(path, os.environ).config.record.path is None:
            return end("record", USAGE, "--out: expected a folder, as [record] path is empty")
        trio.run(_main, path, out, signals, output)
    except ConfigError as error:
        return end("record", CONFIG, *error.problems)
    finally:
        output.drain()
    return leave(OK)


@dataclass(slots=True)
class _Nowhere:
    """A receiver that discards ticks: only payloads are recorded."""

    async def send(self, _: object) -> None:
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        pass

    def __enter__(self) -> _Nowhere:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _read(path: Path | None, out: Path | None) -> Runtime:
    """What is configured, with ``out`` in place of its folder, and no model: nothing is predicted.

    Raises :class:`ConfigError`.
    """
    from nbad.settings.current import Runtime, ToldModel

    loaded, problems = read_values(path, os.environ)
    config = loaded.config
    record = {"path": out or config.record.path, "payloads": True}
    config = config.model_copy(update={"record": config.record.model_copy(update=record)})
    found: list[str] = []
    if config.record.path is None:  # no more: it was there at the start
        found.append("record.path: expected a folder, was empty")
    try_log(config.log, found)
    try_folders(config, found)
    problems += loaded.place(found)
    if problems:
        raise ConfigError(problems)
    return Runtime(config, ToldModel())


async def _main(path: Path | None, out: Path | None, signals: Signals, output: Output) -> None:
    from nbad.recording.recorder import Recorder
    from nbad.reloading import Reloads
    from nbad.settings.current import Settings
    from nbad.systemd.notify import Notifier
    from nbad.wiring import follow_feed

    polling = trio.CancelScope()
    reloads = Reloads(path, partial(_read, out=out), Notifier(), output)
    reloads.obey(signals, "record", polling.cancel)
    runtime = await reloads.start()
    if runtime is None:
        return
    settings = Settings(runtime)
    recorder = Recorder(settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloads.run, settings, lambda: False)
        nursery.start_soon(recorder.run)
        with polling:
            await follow_feed(settings, _Nowhere(), tap=recorder.put)
        await recorder.finish()
        nursery.cancel_scope.cancel()
