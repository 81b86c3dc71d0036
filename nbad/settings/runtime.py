"""From a configuration to a :class:`Runtime`: its model and its access, loaded and checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nbad.model.forecaster import Forecaster, ModelError
from nbad.settings.access import load_access, load_password
from nbad.settings.current import Runtime
from nbad.settings.files import try_folders, try_log
from nbad.settings.load import ConfigError, Loaded, read_values


def read_runtime(path: Path | None) -> Runtime:
    """Load the configuration and all that it names; ``ConfigError`` with all that is wrong."""
    return read_with_origin(path)[1]


def read_with_origin(path: Path | None) -> tuple[Loaded, Runtime]:
    """As :func:`read_runtime`, with the source of each value."""
    loaded, problems = read_values(path, os.environ)
    found: list[str] = []
    try_log(loaded.config.log, found)
    try_folders(loaded.config, found)
    return loaded, make_runtime(loaded, [*problems, *loaded.place(found)])


def make_runtime(loaded: Loaded, problems: Sequence[str] = ()) -> Runtime:
    """Load the model and the files that the configuration names.

    Raises :class:`ConfigError` with ``problems``, found earlier, and every further one.
    """
    config, found = loaded.config, list[str]()
    access = load_access(config.server, found)
    load_password(config.publish, found)
    forecaster: Forecaster | None = None
    try:
        forecaster = Forecaster.load(config.model.path)
    except ModelError as error:
        found.append(f"model.path: {error}")
    if problems or found or forecaster is None:
        raise ConfigError([*problems, *loaded.place(found)])
    return Runtime(config, forecaster, access)
