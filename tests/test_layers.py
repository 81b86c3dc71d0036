"""Imports go down: whoever reads the daemon need not open the simulator, the training or a bench.

Also those for types alone (``TYPE_CHECKING``) and those within functions: what a module names, its
reader must open.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

NBAD = Path(__file__).parent.parent / "nbad"

# From the highest down. Packages of one line stand beside each other: neither imports the other.
LAYERS = [
    {"cli"},
    {"bench"},
    {"daemon", "relay"},
    {"reloading"},
    {"signals"},
    {"embed", "web"},
    {"wiring"},
    {"stages"},
    {"training"},
    {"simulator"},
    {"recording", "state"},
    {"publish"},
    {"stream"},
    {"feed"},
    {"net"},
    {"observe"},
    {"channels", "systemd"},
    {"settings"},
    {"model"},
    {"pattern"},
    {"domain", "exit_codes", "client"},
]
PLACE = {package: place for place, layer in enumerate(LAYERS) for package in layer}
# What a subscriber's program imports stands alone, but for how a connection's failure is worded.
SPARED = {
    "nbad.client.transport imports nbad.net.errors",
}
# The way in: the version and one lazy name; ``python -m nbad``.
ENTRIES = {"__init__", "__main__"}


def package_of(module: str) -> str:
    """``nbad.feed.client`` → ``feed``; of ``nbad`` itself ``__init__``."""
    return (*module.split("."), "__init__")[1]


def walk(node: ast.AST, *, in_functions: bool) -> Iterator[ast.AST]:
    """All within ``node``."""
    for child in ast.iter_child_nodes(node):
        yield child
        if in_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from walk(child, in_functions=in_functions)


@cache
def imports(*, in_functions: bool = True) -> dict[str, set[str]]:
    """The modules of nbad that each module of nbad names in an import, those for types too."""
    modules = {}
    for path in NBAD.rglob("*.py"):
        parts = path.relative_to(NBAD.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        named = found[name] = set()
        for node in walk(ast.parse(path.read_text()), in_functions=in_functions):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names if package_is_ours(alias.name)}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name}: an import by dots names no package"
                if node.module and package_is_ours(node.module):
                    # ``from nbad.feed import client`` names a module; ``import read`` does not.
                    whole = {f"{node.module}.{alias.name}" for alias in node.names}
                    named |= {one if one in modules else node.module for one in whole}
        named.discard(name)
    return found


def package_is_ours(module: str) -> bool:
    return module.split(".")[0] == "nbad"


@pytest.mark.parametrize("package", sorted({package_of(name) for name in imports()} - ENTRIES))
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    assert package in PLACE, "a new package: say where it stands in LAYERS"
    upward = {
        f"{name} imports {other}"
        for name, others in imports().items()
        if package_of(name) == package
        for other in others
        if (there := package_of(other)) not in (package, "__init__")
        and PLACE[there] <= PLACE[package]
    }
    assert upward <= SPARED


def test_no_modules_import_each_other() -> None:
    """Also within a package: each module can be read, and tested, after those it imports.

    Imports within functions aside: they are for what is not always needed.
    """
    left = {name: set(others) for name, others in imports(in_functions=False).items()}
    while ends := [name for name, others in left.items() if not others & left.keys()]:
        for name in ends:
            del left[name]
    assert not left


def test_the_domain_knows_nothing_of_nbad() -> None:
    assert not imports()["nbad.domain"]


def test_the_stages_are_five_and_what_travels_between_them() -> None:
    stages = {path.stem for path in (NBAD / "stages").glob("*.py")} - {"__init__"}
    assert stages == {"poller", "parser", "patterns", "predictor", "server", "envelopes"}


def test_an_import_is_found_wherever_it_stands() -> None:
    """The finder itself: at the top, for types alone and within a function."""
    source = """
import nbad.a
if TYPE_CHECKING:
    import nbad.b
def f():
    import nbad.c
"""
    found = list(walk(ast.parse(source), in_functions=True))
    assert sum(isinstance(node, ast.Import) for node in found) == 3
    found = list(walk(ast.parse(source), in_functions=False))
    assert sum(isinstance(node, ast.Import) for node in found) == 2
    assert "nbad.settings.current" in imports()["nbad.stages.poller"]
