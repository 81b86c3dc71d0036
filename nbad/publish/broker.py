"""The broker: a Redis stream and, beside it, the lease of the one who may write to it.

Both scripts run in Redis as one step, so that nobody writes who has lost the lease: not after a
pause, and not from the other side of a partition.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import trio

from nbad.settings.access import load_password

if TYPE_CHECKING:
    import coredis
    from coredis.connection import BaseConnection

    from nbad.publish.entries import Fields
    from nbad.settings.schema import Publish

T = TypeVar("T")

START = "0-0"
"""Before the first entry of a stream."""

# Within a data centre an answer takes under 1 ms: a broker that is silent for so long is away.
ANSWER_S = 2.0

# The fence grows also where Redis forgot the last one: it is at least the time in ms.
_ACQUIRE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  return false
end
if not owner then
  local now = redis.call('TIME')
  local ms = now[1] * 1000 + math.floor(now[2] / 1000)
  local last = redis.call('GET', KEYS[2]) or '0'
  local fence = string.format('%.0f', math.max(tonumber(last) + 1, ms))
  redis.call('SET', KEYS[2], fence)
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', fence, 'before', last)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HMGET', KEYS[1], 'fence', 'before')
"""
_RELEASE = """
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""
_WRITE = """
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return false
end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[4])  -- after it: a full Redis refuses only a first write
return id
"""


class Lease(NamedTuple):
    """``fence`` grows with each that is given; ``before`` is that of the one before, 0 for none."""

    fence: int
    before: int


class BrokerError(Exception):
    """The broker cannot be reached, does not answer in time, or refuses."""


class FencedError(Exception):
    """The lease is another's, or has run out: nothing was written."""


class Broker:
    """The commands that there are need of. Each raises :class:`BrokerError`."""

    def __init__(self, client: coredis.Redis[bytes], publish: Publish, answer_s: float) -> None:
        self._client = client
        self._stream = publish.stream
        # One hash slot for all three, so that the scripts also run in a cluster.
        self._lease = f"{{{publish.stream}}}:lease"
        self._fence = f"{{{publish.stream}}}:fence"
        self._lease_ms = round(publish.lease_s * 1e3)
        self._keep = publish.keep
        self._answer_s = answer_s
        self._connection: BaseConnection | None = None
        self._acquire = client.register_script(_ACQUIRE)
        self._release = client.register_script(_RELEASE)
        self._write = client.register_script(_WRITE)

    async def ping(self) -> None:
        """See whether it answers."""
        with _in_time(self._answer_s):
            await self._client.ping()

    async def acquire(self, owner: str) -> Lease | None:
        """Take the lease, or renew it; None where it is another's."""
        with _in_time(self._answer_s):
            told: Any = await self._acquire([self._lease, self._fence], [owner, self._lease_ms])
        return None if told is None else Lease(*map(int, told))

    async def release(self, owner: str) -> None:
        """Give the lease up, where it is ``owner``'s."""
        with _in_time(self._answer_s):
            await self._release([self._lease], [owner])

    async def write(self, owner: str, fence: int, fields: Fields) -> None:
        """Append an entry, and renew the lease with it: what waits to be written may take longer.

        Raises :class:`FencedError` where the lease is not ``owner``'s any more.

        Cancelled or out of time it may have been written: whoever reads passes over a repetition.
        """
        pairs = [item for pair in fields.items() for item in pair]
        keys = [self._lease, self._stream]
        arguments = [owner, fence, self._keep, self._lease_ms, *pairs]
        from coredis.exceptions import NoScriptError

        with _in_time(self._answer_s):
            try:
                # By itself: what coredis does around a command costs as much as the command again.
                connection = await self._line()
                written: Any = await connection.create_request(
                    b"EVALSHA", self._write.sha, len(keys), *keys, *arguments, decode=False
                )
            except NoScriptError:
                written = await self._write(keys, arguments)  # and Redis knows it from now on
        if written is None:
            raise FencedError

    async def _line(self) -> BaseConnection:
        """A connection of the client's, which others may use too: answers come in turn."""
        if self._connection is None or not self._connection.reusable:
            async with self._client.connection_pool.acquire() as connection:
                self._connection = connection
        return self._connection

    async def read(
        self, after: str, count: int, wait_s: float
    ) -> list[tuple[str, dict[bytes, bytes]]]:
        """At most ``count`` entries behind ``after``, oldest first; waits for one ``wait_s``."""
        with _in_time(wait_s + self._answer_s):
            found = await self._client.xread(
                {self._stream: after}, count=count, block=round(wait_s * 1e3)
            )
        entries = next(iter(found.values()), ()) if found else ()
        return [
            (str(entry.identifier, "ascii"), dict(entry.field_values))  # type: ignore[arg-type]
            for entry in entries
        ]


async def with_broker(
    publish: Publish, work: Callable[[Broker], Awaitable[T]], answer_s: float = ANSWER_S
) -> T:
    """Run ``work`` with a broker that is connected to as needed.

    Raises :class:`BrokerError` with the cause in the system's words, and what ``work`` raises.
    """
    import coredis  # only those who publish or relay have need of it: it takes 0.2 s

    # What it logs of a connection that fails is told by who catches the error.
    logging.getLogger("coredis").setLevel(logging.CRITICAL)
    problems: list[str] = []
    password = load_password(publish, problems)
    if problems:
        raise BrokerError(problems[0])
    with _as_broker_error():
        options: dict[str, Any] = {"username": publish.user or None, "password": password}
        if publish.url.startswith("rediss:"):
            options["ssl_context"] = ssl.create_default_context()
        client = coredis.Redis.from_url(
            publish.url, verify_version=False, connect_timeout=answer_s, **options
        )
        async with client:
            return await work(Broker(client, publish, answer_s))
    raise AssertionError  # pragma: no cover - the block returns or raises


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    with _as_broker_error():
        try:
            with trio.fail_after(seconds):
                yield
        except trio.TooSlowError:
            raise BrokerError(f"no answer within {seconds:g} s") from None


@contextmanager
def _as_broker_error() -> Iterator[None]:
    """coredis' errors come alone or in groups, its tasks' and ours: the first one is told."""
    from coredis.exceptions import RedisError

    ours = (BrokerError, FencedError, RedisError, OSError)
    try:
        yield
    except ours as error:
        raise _told(error) from error
    except BaseExceptionGroup as group:
        found, rest = group.split(ours)
        if rest is not None or found is None:
            raise
        first: BaseException = found
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise _told(first) from group


def _told(error: BaseException) -> BaseException:
    if isinstance(error, (BrokerError, FencedError)):
        return error
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return BrokerError(str(getattr(cause, "strerror", None) or error) or type(error).__name__)
