"""From a configuration to what can be put in force: its model and its access, loaded and tried."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from nbad.model.forecaster import Forecaster, ModelError
from nbad.settings.access import load_access, load_password
from nbad.settings.current import Runtime
from nbad.settings.load import ConfigError, load
from nbad.settings.schema import Config, Log


def read(path: Path | None) -> Runtime:
    """Load the configuration and the model it names; ``ConfigError`` with all that is wrong."""
    config = load(path, os.environ).config
    return judge(config, str(path or "default"))


def judge(config: Config, where: str) -> Runtime:
    """Load what the configuration names; ``ConfigError`` with all of it that cannot be used."""
    problems: list[str] = []
    access = load_access(config.server, problems)
    load_password(config.publish, problems)
    if config.publish.url and find_spec("coredis") is None:
        problems.append("publish.url: expected coredis beside it: pip install 'nbad[publish]'")
    problems = [f"{where}: {problem}" for problem in problems]
    try:
        forecaster = load_model(config, where)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return Runtime(config, forecaster, access)


def load_model(config: Config, where: str) -> Forecaster:
    """Load and try the model; ``ConfigError`` where it cannot be used."""
    try:
        return Forecaster.load(config.model.path)
    except ModelError as error:
        raise ConfigError([f"{where}: model.path: {error}"]) from None


def writable(log_section: Log, where: str) -> None:
    """``ConfigError`` where the log's file cannot be opened."""
    if log_section.file is None:
        return
    try:
        log_section.file.open("ab").close()
    except OSError as error:
        raise ConfigError([f"{where}: log.file: expected a file to write, was: {error}"]) from None
