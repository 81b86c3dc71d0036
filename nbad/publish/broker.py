"""The broker: a Redis stream, and the lease that allows one daemon to write to it.

Each script runs in Redis as one step, so a daemon that lost the lease writes nothing: not after a
pause, and not from the other side of a partition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import trio

from nbad.net.errors import cause
from nbad.publish.connection import FAULTS, Connection, Word, connect
from nbad.settings.access import load_password

if TYPE_CHECKING:
    from nbad.publish.entries import Fields
    from nbad.settings.schema import Publish

T = TypeVar("T")

START = "0-0"
"""Before the first entry of a stream."""

# Within a data centre an answer takes under 1 ms: a broker silent for this long is unavailable.
ANSWER_S = 2.0
# Said of an outage, each once.
_MOST_REASONS = 8


class _Script:
    """A script, and the digest that Redis knows it by once it has run."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# The fence grows also where Redis forgot the last one: it is at least the time in ms.
_ACQUIRE = _Script("""
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  return false
end
if not owner then
  local now = redis.call('TIME')
  local ms = now[1] * 1000 + math.floor(now[2] / 1000)
  local last = tonumber(redis.call('GET', KEYS[2]) or 0)
  if not (last and last >= 0 and last < 9e15) then  -- a stranger's: anything
    last = 0
  end
  local fence = string.format('%.0f', math.max(last + 1, ms))
  redis.call('SET', KEYS[2], fence)
  local before = string.format('%.0f', last)
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', fence, 'before', before)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HMGET', KEYS[1], 'fence', 'before')
""")
_RELEASE = _Script("""
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
""")
_WRITE = _Script("""
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return false
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[4])  -- after it: a full Redis refuses only a first write
local length = redis.pcall('XLEN', KEYS[2])  -- which an older list of rights may not allow
return type(length) == 'number' and length or -1
""")


class Lease(NamedTuple):
    """``fence`` grows with each that is given; ``before`` is that of the one before, 0 for none."""

    fence: int
    before: int


class BrokerError(Exception):
    """The broker cannot be reached, does not answer in time, or refuses."""


class FencedError(Exception):
    """The lease is another's, or has run out: nothing was written."""


class Outage:
    """Why the broker is unavailable, as ``reason``; None while it is available."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._said: set[str] = set()

    def note(self, error: BrokerError) -> bool:
        """Keep the reason; whether to say it: what began it, as a connection that ended, seldom
        says what keeps it up, as a wrong password."""
        self.reason = str(error)
        if self.reason in self._said or len(self._said) >= _MOST_REASONS:
            return False
        self._said.add(self.reason)
        return True

    def over(self) -> bool:
        """It can be had; whether it could not before."""
        was = self.reason is not None
        self.reason = None
        self._said.clear()
        return was


class Broker:
    """The commands that daemon and relay need. Each raises :class:`BrokerError`."""

    def __init__(self, connection: Connection, publish: Publish, answer_s: float) -> None:
        self._connection = connection
        self._stream = publish.stream
        # One hash slot for all three, so that the scripts also run in a cluster.
        self._lease = f"{{{publish.stream}}}:lease"
        self._fence = f"{{{publish.stream}}}:fence"
        self._lease_ms = round(publish.lease_s * 1e3)
        self._keep = publish.keep
        self._answer_s = answer_s

    async def acquire(self, owner: str) -> Lease | None:
        """Take the lease, or renew it; None where it is another's."""
        keys = [self._lease, self._fence]
        told = await self._run(_ACQUIRE, keys, owner, self._lease_ms)
        with _as_redis_says():
            return None if told is None else Lease(*map(int, told))

    async def release(self, owner: str) -> None:
        """Give the lease up, where it is ``owner``'s."""
        await self._run(_RELEASE, [self._lease], owner)

    async def write(self, owner: str, fence: int, fields: Fields) -> int | None:
        """Append an entry, and renew the lease with it: what waits to be written may take longer.

        Returns how many entries the log then has, None where that may not be asked.

        Raises :class:`FencedError` where the lease is not ``owner``'s any more.

        If cancelled or timed out, it may have been written: readers ignore repetitions.
        """
        keys = [self._lease, self._stream]
        pairs = [word for pair in fields.items() for word in pair]
        written = await self._run(_WRITE, keys, owner, fence, self._keep, self._lease_ms, *pairs)
        if written is None:
            raise FencedError
        with _as_redis_says():
            return None if written < 0 else int(written)

    async def read(
        self, after: str, count: int, wait_s: float
    ) -> list[tuple[str, dict[bytes, bytes]]]:
        """At most ``count`` entries behind ``after``, oldest first; waits for one ``wait_s``."""
        found = await self._call(
            wait_s, "XREAD", "COUNT", count, "BLOCK", round(wait_s * 1e3),
            "STREAMS", self._stream, after,
        )  # fmt: skip
        with _as_redis_says():
            entries = found[0][1] if found else ()
            return [
                (entry_id.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))
                for entry_id, fields in entries
            ]

    async def _run(self, script: _Script, keys: list[str], *words: Word) -> Any:
        given = (len(keys), *keys, *words)
        try:
            return await self._call(0.0, "EVALSHA", script.sha, *given)
        except BrokerError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            return await self._call(0.0, "EVAL", script.text, *given)  # which it knows from now on

    async def _call(self, wait_s: float, *words: Word) -> Any:
        """A command that may take ``wait_s``, and its answer its time."""
        patience_s = wait_s + self._answer_s
        try:
            with trio.fail_after(patience_s):
                return await self._connection.call(*words)
        except trio.TooSlowError:
            raise BrokerError(f"no answer within {patience_s:g} s") from None
        except FAULTS as error:
            # After that Redis only names the script.
            raise BrokerError(cause(error).partition(" script: ")[0]) from error


@contextmanager
def _as_redis_says() -> Iterator[None]:
    """While reading an answer: one of a form that Redis does not give is a BrokerError."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise BrokerError(f"expected an answer of Redis, was another: {error}") from error


async def with_broker(
    publish: Publish, work: Callable[[Broker], Awaitable[T]], answer_s: float = ANSWER_S
) -> T:
    """Run ``work`` with a broker that is connected to.

    Raises :class:`BrokerError` with the cause in the system's words, and what ``work`` raises.
    """
    problems: list[str] = []
    password = load_password(publish, problems)
    if problems:
        raise BrokerError(problems[0])
    try:
        with trio.fail_after(answer_s):
            connection = await connect(publish.url, publish.user, password)
    except trio.TooSlowError:
        raise BrokerError(f"no connection within {answer_s:g} s") from None
    except FAULTS as error:
        raise BrokerError(cause(error)) from error
    try:
        return await work(Broker(connection, publish, answer_s))
    finally:
        await connection.aclose()
