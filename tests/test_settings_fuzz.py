"""No configuration, however spoilt, does anything but load or be told what is wrong with it.

Other examples in each run, as in the other fuzzers; NBAD_FUZZ_EXAMPLES asks for more of them.
"""

from __future__ import annotations

import os
import string
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbad.reloading import load as load_all
from nbad.settings.access import load_access, load_password
from nbad.settings.current import Runtime, ToldModel
from nbad.settings.load import ConfigError, Loaded, load
from nbad.settings.schema import Config

FRESH = settings(
    max_examples=int(os.environ.get("NBAD_FUZZ_EXAMPLES", "150")),
    derandomize=False,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KEYS = [(section, key) for section, values in Config() for key in type(values).model_fields]
# A whole file with each key, as the repository has it, its comments taken away.
EXAMPLE = "\n".join(
    line.removeprefix("# ")
    for line in (Path(__file__).parent.parent / "nbad.toml").read_text().splitlines()
    if " = " in line or line.startswith("[")
)


def judge(path: Path | None, environ: dict[str, str], folder: Path) -> Loaded | None:
    """As the daemon does at its start and at each reload, but for the model."""
    loaded: list[Loaded] = []

    def read(path: Path | None) -> Runtime:
        loaded.append(load(path, environ))
        problems: list[str] = []
        config = loaded[-1].config
        access = load_access(config.server, problems)
        load_password(config.publish, problems)
        if problems:
            raise ConfigError(problems)
        return Runtime(config, ToldModel(), access)

    told: list[str] = []
    before = Path.cwd()
    os.chdir(folder)  # where a log file named at random may be made
    try:
        _, out = load_all(path, read)
    except ConfigError as error:
        told = error.problems
    finally:
        os.chdir(before)
    if not told:
        if out.name != 1:
            out.close()
        return loaded[0]
    for problem in told:
        problem.encode()  # it can be written
        assert "expected" in problem
        assert "\n" not in problem
    return None


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(key)} = {toml(part)}' for key, part in value.items())}}}"
        case datetime() | date() | time():
            return value.isoformat()
    return str(value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), TEXTS,
        st.dates(), st.datetimes(), st.times(), st.sampled_from(["", "\0", "/", ".", "/dev/null"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@FRESH
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=4))
@example({("server", "tokens_file"): "\0"})
@example({("log", "file"): "\0"})
@example({("server", "tls_cert"): "/dev/null"})
@example({("publish", "password_file"): "x" * 5000})
def test_any_value_of_any_key(tmp_path: Path, values: dict[tuple[str, str], Any]) -> None:
    sections: dict[str, list[str]] = {}
    for (section, key), value in values.items():
        sections.setdefault(section, []).append(f"{key} = {toml(value)}")
    file = tmp_path / "nbad.toml"
    file.write_text("".join(f"[{name}]\n" + "\n".join(s) + "\n" for name, s in sections.items()))
    judge(file, {}, tmp_path)


@FRESH
@given(st.binary(max_size=200) | TEXTS.map(str.encode))
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"9" * 5000)
@example(b"a = 9999-99-99")
@example(b"\xef\xbb\xbf[server]\nport = 1")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "nbad.toml"
    file.write_bytes(content)
    judge(file, {}, tmp_path)


@FRESH
@given(st.lists(st.tuples(st.integers(0, len(EXAMPLE)), st.binary(max_size=3)), max_size=4))
def test_a_good_file_spoilt_in_places(tmp_path: Path, cuts: list[tuple[int, bytes]]) -> None:
    content = EXAMPLE.encode()
    for place, given_there in cuts:
        content = content[:place] + given_there + content[place + 1 :]
    file = tmp_path / "nbad.toml"
    file.write_bytes(content)
    loaded = judge(file, {}, tmp_path)
    assert cuts or loaded is not None


NAMES = st.sampled_from([f"NBAD_{section}__{key}".upper() for section, key in KEYS]) | st.text(
    string.ascii_uppercase + "_", max_size=12
).map(lambda text: f"NBAD_{text}")


@FRESH
@given(st.dictionaries(NAMES, TEXTS | VALUES.map(toml), max_size=3))
@example({"NBAD_SERVER__PORT": "\udcff"})
@example({"NBAD_SERVER__PORT": "9" * 5000})
@example({"NBAD_LOG__FILE": "[" * 5000})
@example({"NBAD_FEED__HEADERS": '{"\\n"=false}'})
def test_any_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    judge(None, environ, tmp_path)


@pytest.mark.parametrize("file", ["/dev/zero", "/proc/self/mem"])
def test_a_file_without_an_end_is_not_read_to_it(tmp_path: Path, file: str) -> None:
    assert judge(Path(file), {}, tmp_path) is None
    for key in ("server.tokens_file", "publish.password_file"):
        section, name = key.split(".")
        config = tmp_path / "nbad.toml"
        config.write_text(f'[{section}]\n{name} = "{file}"\n')
        assert judge(config, {}, tmp_path) is None
