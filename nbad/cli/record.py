"""``nbad record``: every payload the feed sends, kept."""

from __future__ import annotations

import argparse
import signal
from dataclasses import dataclass
from pathlib import Path

import trio

from nbad.cli.run import add_config
from nbad.exit_codes import CONFIG, OK, USAGE, end
from nbad.settings.load import ConfigError, find


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``record``."""
    parser = subparsers.add_parser(
        "record",
        help="keep every payload the feed sends, byte for byte",
        description="Polls the feed as the daemon would, predicts nothing, and keeps every "
        "payload, compressed, with its headers and its arrival time, until SIGTERM or SIGINT.",
    )
    add_config(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="in place of [record] path of the configuration"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit codes: 0 ended as asked, 64 no folder to write to, 78 wrong configuration."""
    from nbad.observe import logs
    from nbad.settings.runtime import read

    try:
        runtime = read(find(args.config))
        logs.configure(runtime.config.log)
    except ConfigError as error:
        for problem in error.problems[:-1]:
            end("record", CONFIG, problem)
        return end("record", CONFIG, error.problems[-1])
    folder: Path | None = args.out or runtime.config.record.path
    if folder is None:
        return end("record", USAGE, "--out: expected a folder, as [record] path names none")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return end("record", USAGE, f"{folder}: expected a folder to write to, was: {error}")
    record = runtime.config.record.model_copy(update={"path": folder, "payloads": True})
    config = runtime.config.model_copy(update={"record": record})
    trio.run(_record, type(runtime)(config, runtime.forecaster))
    return OK


@dataclass(slots=True)
class _Nowhere:
    """Where the ticks go: only what came is kept."""

    async def send(self, _: object) -> None:
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        pass

    def __enter__(self) -> _Nowhere:
        return self

    def __exit__(self, *_: object) -> None:
        pass


async def _record(runtime: object) -> None:
    from nbad.recording.recorder import Recorder
    from nbad.settings.current import Runtime, Settings
    from nbad.wiring import follow_feed

    assert isinstance(runtime, Runtime)
    settings = Settings(runtime)
    recorder = Recorder(settings)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            finish = await nursery.start(recorder.run)
            async with trio.open_nursery() as polling:

                async def obey() -> None:
                    async for _ in signals:
                        polling.cancel_scope.cancel()

                polling.start_soon(obey)
                await follow_feed(settings, _Nowhere(), tap=recorder.put)
            finish.set()
