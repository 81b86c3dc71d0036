"""For all tests."""

from __future__ import annotations

import json
import os
import signal
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stamina
import structlog
from browser_kit import Browser, browsing
from hypothesis import settings
from jsonschema_rs import Draft202012Validator
from process_kit import ended
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from nbad.stream.frame_stream import FrameStream

# The same examples in each run: a law that does not hold is to fail where it was broken, not in
# somebody else's change. make laws looks at fresh ones, and prints how to see one again.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fresh", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("same")

# A test's log, which is shown where it fails: not drawn for a terminal, tracebacks in frames, as
# structlog does where nobody says otherwise and rich is installed.
structlog.configure(
    [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ]
)

# What a shell starts in its background ignores SIGINT, and hands that on to all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def is_shared(module: str) -> bool:
    """Whether tests of ``module`` share a fixture, which each worker would make for itself."""
    return 'scope="module"' in (ROOT / module).read_text()


class Units(LoadScopeScheduling):  # type: ignore[misc]
    """What goes to a worker in one: a module whose tests share a fixture, else a test.

    (pytest-xdist's own groups are the ends of a test's id, which pytest 9.2 lets nobody set.)
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if is_shared(module) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Units:
    config.option.loadscopereorder = False  # in the order below
    return Units(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers begin with the long ones: else all would wait for the last of them.

    Counting the branches taken makes a test three times as long: of the long ones and of the laws,
    which take the same ones again and again, none is counted.
    """
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.get_closest_marker("slow"))


TEXT = 0x81
DEFLATED = 0x40
ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "asyncapi.json"


def make_validators() -> dict[str, Draft202012Validator]:
    """A validator for each message of the document, by its type or op; unknown fields fail."""
    document = json.loads(DOCUMENT.read_text())
    for schema in document["components"]["schemas"].values():
        schema["additionalProperties"] = False
    return {
        name: Draft202012Validator({"components": document["components"], **message["payload"]})
        for name, message in document["components"]["messages"].items()
    }


@pytest.fixture(scope="session")
def documented() -> dict[str, Draft202012Validator]:
    return make_validators()


def texts(frames: bytes) -> Iterator[bytes]:
    """The messages in a server's whole frames, one after the other."""
    while frames:
        head = {126: 4, 127: 10}.get(frames[1], 2)
        end = head + (int.from_bytes(frames[2:head], "big") if head > 2 else frames[1])
        if frames[0] == TEXT:
            yield frames[head:end]
        elif frames[0] == TEXT | DEFLATED:
            yield zlib.decompressobj(-15).decompress(frames[head:end] + b"\0\0\xff\xff")
        frames = frames[end:]


def judge(text: bytes, documented: dict[str, Draft202012Validator]) -> str:
    """Hold a message to the document; its type."""
    message: dict[str, Any] = json.loads(text)
    kind: str = message["type"]
    documented[kind].validate(message)
    return kind


@pytest.fixture(scope="session", autouse=True)
def sent(documented: dict[str, Draft202012Validator]) -> Iterator[Counter[str]]:
    """How many messages of each type this process has sent, or tried to, by a socket.

    Each is as the stream's document says, or what sends it fails.
    """
    counts: Counter[str] = Counter()
    push, next_ = FrameStream.push, FrameStream._next

    def check(frame: bytes | None) -> None:
        if frame is None or frame[:4] == b"HTTP":
            return  # nothing, or the answer to the upgrade
        counts.update(judge(text, documented) for text in texts(frame))

    def checked_push(stream: FrameStream, frame: bytes) -> bool:
        check(frame)
        return push(stream, frame)

    def checked_next(stream: FrameStream) -> bytes | None:
        frame = next_(stream)
        check(frame)
        return frame

    patch = pytest.MonkeyPatch()
    patch.setattr(FrameStream, "push", checked_push)
    patch.setattr(FrameStream, "_next", checked_next)
    yield counts
    patch.undo()


class Spied:
    """The frames that other processes sent, as tests/spy has them keep them in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: Counter[Path] = Counter()

    def texts(self) -> Iterator[bytes]:
        """The messages sent since this was last asked."""
        for path in self.folder.iterdir():
            with path.open("rb") as file:
                file.seek(self._read[path])
                frames = file.read()
            self._read[path] += len(frames)
            yield from texts(frames)


@pytest.fixture(scope="session", autouse=True)
def spied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spied]:
    """What the processes send that tests start."""
    spied = Spied(tmp_path_factory.mktemp("spied"))
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent / "spy"), prepend=os.pathsep)
    patch.setenv("STREAM_SPY", str(spied.folder))
    yield spied
    patch.undo()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser of this worker's tests: each has a tab of its own."""
    with ended(), browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """What a test has the log say, as `nbad check` does, is not what the next one hears."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """No process outlives the test that started it, to be told of in another one's name."""
    with ended():
        yield


@pytest.fixture(autouse=True)
def sent_elsewhere(
    spied: Spied, documented: dict[str, Draft202012Validator]
) -> Iterator[Callable[[], Counter[str]]]:
    """How many messages of each type a test's processes have sent so far, a shared one once.

    Each is as the stream's document says, or the test fails at its end.
    """
    counts: Counter[str] = Counter()

    def judge_all() -> Counter[str]:
        counts.update(judge(text, documented) for text in spied.texts())
        return counts

    yield judge_all
    judge_all()
