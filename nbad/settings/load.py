"""A TOML file and the environment → one :class:`.schema.Config`, or every error in them."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from nbad.settings.files import read_text
from nbad.settings.schema import Config

DEFAULT_PATHS = (Path("nbad.toml"), Path("/etc/nbad/nbad.toml"))
_PREFIX = "NBAD_"
_KEYS = [
    (section, key, field.annotation)
    for section, values in Config()
    for key, field in type(values).model_fields.items()
]
# Every section, and every key as ``section.key``.
_KNOWN = [name for name, _ in Config()] + [f"{section}.{key}" for section, key, _ in _KEYS]
# TOML has no paths: these keys are text in the file.
_PATHS = {(section, key) for section, key, kind in _KEYS if Path in get_args(kind)}
# What a key in the environment looks like, and what is nearly one: NBAD_SERVER_PORT.
_NEARLY = {
    f"{_PREFIX}{section}_{key}".upper(): f"{_PREFIX}{section}__{key}".upper()
    for section, key, _ in _KEYS
}
# Numbers too long to read are ValueError, and lists too deep RecursionError.
_NO_TOML = (tomllib.TOMLDecodeError, ValueError, RecursionError)


class ConfigError(Exception):
    """A configuration that cannot be used: ``problems`` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and, for each ``section.key`` that was set, where; ``source`` is where a key
    that was not set could be."""

    config: Config
    origin: Mapping[str, str] = field(default_factory=dict)
    source: str = "default"

    def place(self, problems: Iterable[str]) -> list[str]:
        """``section.key: …`` of each problem, after where the key was set."""
        return [
            f"{self.origin.get(problem.partition(':')[0], self.source)}: {problem}"
            for problem in problems
        ]


def find(path: Path | None) -> Path | None:
    """The file to read: ``path``, or the first default path that exists."""
    if path is not None:
        return path
    return next((default for default in DEFAULT_PATHS if _may_be_there(default)), None)


def _may_be_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # no permission for its folder: reading it reports that
        return True


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read ``path`` (None: no file), then the environment over it, and validate it whole.

    :class:`ConfigError` with every problem, each ``FILE: KEY: expected …, was …``.
    """
    loaded, problems = read_values(path, environ)
    if problems:
        raise ConfigError(problems)
    return loaded


def read_values(path: Path | None, environ: Mapping[str, str]) -> tuple[Loaded, list[str]]:
    """As :func:`load`, but returns the problems with what could be read: wrong values have their
    defaults there, so that the files named by the others can be checked too."""
    values, problems = _read_file(path)
    origin = {
        f"{section}.{key}": str(path)
        for section, keys in values.items()
        for key in (keys if isinstance(keys, dict) else ())
    }
    for name in sorted(_NEARLY.keys() & environ.keys()):
        problems.append(f"{name}: expected {_NEARLY[name]}, was {name}")
    for name in sorted(environ):
        section, separator, key = name.removeprefix(_PREFIX).lower().partition("__")
        if name.startswith(_PREFIX) and separator:
            table = values.setdefault(section, {})
            if isinstance(table, dict):
                table[key] = _from_environment(environ[name])
                origin[f"{section}.{key}"] = name
    for section, key in _PATHS:
        table = values.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = Path(table[key]) if table[key] else None
    source = str(path) if path else "default"
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        where = str(path) if path else "environment"
        wrong = error.errors()
        problems += [_problem(e, where, origin) for e in wrong]
        for e in wrong:
            _take_out(values, e["loc"])
        config = Config.model_validate(values)
    loaded = Loaded(config, origin, source)
    server, http = config.server, config.http
    if server.port and (server.host, server.port) == (http.host, http.port):
        found = f"http.port: expected another than [server] port, was {http.port} as well"
        problems += loaded.place([found])
    return loaded, problems


def _read_file(path: Path | None) -> tuple[dict[str, Any], list[str]]:
    """The tables of a file, or none and the problem."""
    try:
        return (tomllib.loads(read_text(path)) if path else {}), []
    except OSError as error:
        return {}, [f"{path}: expected a readable file, was: {error.strerror or error}"]
    except _NO_TOML as error:
        return {}, [f"{path}: expected TOML, was: {error}"]


def _take_out(values: dict[str, Any], location: Sequence[int | str]) -> None:
    """Leave out of ``values`` the key at ``location``, or the section."""
    section, *key = map(str, location[:2])
    if key and isinstance(values.get(section), dict):
        values[section].pop(key[0], None)
    else:
        values.pop(section, None)


def _from_environment(value: str) -> Any:
    """What TOML reads it as (a number, a truth, a table), else the text itself."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except _NO_TOML:
        return value


def _problem(error: Any, where: str, origin: Mapping[str, str]) -> str:
    location = [str(part) for part in error["loc"]]
    # A name may hold anything, also the end of the line.
    key = ".".join(part if part.isprintable() else repr(part) for part in location)
    in_section = (came for name, came in origin.items() if name.startswith(f"{location[0]}."))
    where = origin.get(".".join(location[:2])) or next(in_section, where)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.0)
        return f"{where}: {key}: expected {near[0]} or another known key, was {key}"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
    return f"{where}: {key}: expected {expected}, was {_harmless(location, error['input'])}"


def _harmless(location: list[str], value: Any) -> str:
    """The value found, without possible secrets: header values, passwords in addresses."""
    if location[:2] == ["feed", "headers"]:
        return f"{shown(value)!r}" if isinstance(value, dict) else f"a {type(value).__name__}, ***"
    return re.sub(r"//[^/@]*@", "//***@", repr(value))


def differences(old: Config, new: Config) -> dict[str, dict[str, Any]]:
    """What changed, ``section.key`` → old and new, the values of headers masked."""
    changes: dict[str, dict[str, Any]] = {}
    for (section, was), (_, now) in zip(old, new, strict=True):
        for key in type(was).model_fields:
            before, after = getattr(was, key), getattr(now, key)
            if before != after:
                changes[f"{section}.{key}"] = {"old": shown(before), "new": shown(after)}
    return changes


def shown(value: Any) -> Any:
    """A value as it may be shown, without the values of headers, which can be secrets."""
    if isinstance(value, dict):
        return dict.fromkeys(value, "***")
    return str(value) if isinstance(value, Path) else value
