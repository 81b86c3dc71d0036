"""The configuration: read whole, every error at once, each where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbad.settings.load
from nbad.settings.files import try_folder
from nbad.settings.load import ConfigError, differences, find, load
from nbad.settings.runtime import read_runtime
from nbad.settings.schema import Config

# Each file says in its head what is to be said of it.
BAD = sorted((Path(__file__).parent / "bad_configs").glob("*.toml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_told_its_errors(path: Path) -> None:
    head = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    with pytest.raises(ConfigError) as error:
        load(path, {})
    assert sorted(error.value.problems) == sorted(line.format(file=path) for line in head)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    loaded = load(tmp_path / "empty.toml", {})
    assert loaded.config == Config() == load(None, {}).config
    assert not loaded.origin


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: expected a readable file, was"):
        load(tmp_path / "nowhere.toml", {})


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text('[server]\nport = 1\nhost = "::1"\n')
    loaded = load(path, {"NBAD_SERVER__PORT": "2", "NBAD_LOG__LEVEL": "debug", "NBAD_HOME": "/x"})
    assert (loaded.config.server.port, loaded.config.server.host) == (2, "::1")
    assert loaded.config.log.level == "debug"
    assert loaded.origin == {
        "server.port": "NBAD_SERVER__PORT",
        "server.host": str(path),
        "log.level": "NBAD_LOG__LEVEL",
    }


def test_an_error_of_the_environment_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {"NBAD_SERVER__PORT": "many", "NBAD_SERVER__PROT": "1"})
    assert sorted(error.value.problems) == [
        "NBAD_SERVER__PORT: server.port: expected a valid integer, was 'many'",
        "NBAD_SERVER__PROT: server.prot: expected server.port or another known key, "
        "was server.prot",
    ]


def test_a_secret_is_not_shown_where_it_is_wrong() -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {"NBAD_FEED__HEADERS": "Authorization: Bearer hunter2"})
    assert error.value.problems == [
        "NBAD_FEED__HEADERS: feed.headers: expected a valid dictionary, was a str, ***"
    ]


def test_all_that_is_wrong_is_told_at_once_and_where_it_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nbad.toml"
    gone = tmp_path / "gone"
    path.write_text(
        f'[server]\nport = -1\ntokens_file = "{gone}"\n[log]\nfile = "{gone}/log"\n'
        '[record]\npath = "/proc/none"\n[state]\npath = "/proc/none"\n'
        f'[publish]\npassword_file = "{gone}"\n'
    )
    monkeypatch.setenv("NBAD_SERVER__TLS_CERT", str(gone))
    monkeypatch.setenv("NBAD_MODEL__PATH", str(gone))
    monkeypatch.setenv("NBAD_HTTP__PORT", "many")
    with pytest.raises(ConfigError) as error:
        read_runtime(path)
    assert [problem.rpartition(": expected")[0] for problem in error.value.problems] == [
        f"{path}: server.port",
        "NBAD_HTTP__PORT: http.port",
        f"{path}: log.file",
        f"{path}: record.path",
        f"{path}: state.path",
        "NBAD_SERVER__TLS_CERT: server.tls_cert",
        f"{path}: server.tokens_file",
        f"{path}: publish.password_file",
        f"NBAD_MODEL__PATH: model.path: {gone}/model.json",
    ]
    path.write_text("[server\n")  # no TOML at all: the environment is read all the same
    with pytest.raises(ConfigError) as error:
        read_runtime(path)
    assert len(error.value.problems) == 4


def test_a_folder_that_is_tried_is_left_as_it_was(tmp_path: Path) -> None:
    try_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    try_folder(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]
    (tmp_path / "a" / "b").touch()
    with pytest.raises(OSError, match="Not a directory"):
        try_folder(tmp_path / "a" / "b" / "c")


def test_one_underscore_too_few_is_told() -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {"NBAD_SERVER_PORT": "1", "NBAD_HOME": "/x"})
    assert error.value.problems == [
        "NBAD_SERVER_PORT: expected NBAD_SERVER__PORT, was NBAD_SERVER_PORT"
    ]


def test_a_path_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text('[log]\nfile = ""\n[model]\npath = "mine"\n')
    config = load(path, {}).config
    assert config.log.file is None
    assert config.model.path == Path("mine")


def test_differences_name_the_keys_and_mask_secrets(tmp_path: Path) -> None:
    path = tmp_path / "nbad.toml"
    path.write_text('[server]\nport = 1\n[feed.headers]\nAuthorization = "secret"\n')
    changes = differences(Config(), load(path, {}).config)
    assert changes == {
        "feed.headers": {"old": {}, "new": {"Authorization": "***"}},
        "server.port": {"old": 8765, "new": 1},
    }


def test_a_default_file_that_cannot_be_looked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Path("/" + "x" * 300)  # as one in a folder that is closed to us, also for root
    monkeypatch.setattr(nbad.settings.load, "DEFAULT_PATHS", (closed,))
    with pytest.raises(ConfigError, match="expected a readable file, was: File name too long"):
        load(find(None), {})
