"""An answer is read as h11 reads it, whatever it is and however its bytes arrive."""

from __future__ import annotations

import gzip

import h11
import httpx
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from nbad.feed.encoding import decoded
from nbad.feed.head import read_plain
from nbad.feed.transport import Get, _Connection, _StaleError

Result = tuple[int, dict[str, str], bytes] | str
GET = Get.of(httpx.Request("GET", "http://any/x"))


class Scripted:
    """Gives what a server would say, chunk by chunk, and then its end."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = [chunk for chunk in chunks if chunk]

    def is_quiet(self) -> bool:
        return True

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.chunks.pop(0) if self.chunks else b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def as_h11_reads(answer: bytes) -> tuple[Result, bool]:
    """The oracle: all bytes at once and the end, and whether the connection could go on."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/x", headers=[("Host", "any")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answer)
    found: dict[str, list[str]] = {}
    body, status, open_ = b"", 0, True
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(b"")
                open_ = False
            elif isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    found.setdefault(name.decode(), []).append(value.decode("latin-1"))
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
    except h11.RemoteProtocolError:
        return "RemoteProtocolError", False
    open_ = open_ and connection.their_state is h11.DONE and not connection.trailing_data[0]
    return (status, {name: ", ".join(values) for name, values in found.items()}, body), open_


def as_it_is_read(chunks: list[bytes]) -> tuple[Result, bool]:
    async def read() -> tuple[Result, bool]:
        connection = _Connection(Scripted(chunks))
        try:
            return await connection.exchange(GET), connection.reusable
        except (h11.RemoteProtocolError, _StaleError):
            return "RemoteProtocolError", False

    return trio.run(read)


STATUS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 200 ", b"HTTP/1.1 200",
     b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 2000 OK",
     b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 \xfc\x01"]
)  # fmt: skip
HEADER = st.sampled_from(
    [b"ETag: \"a\"", b"etag:b", b"Date:  Thu, 15 Jan 2026 02:00:00 GMT \t", b"Age: 1", b"AGE: 2",
     b"Connection: keep-alive", b"Connection: close", b"Connection: Keep-Alive", b"X: ",
     b"Connection: keep-alive, close", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip",
     b"Content-Length: 3", b"Content-Length: 0", b"Content-Length: 03", b"Content-Length: +3",
     b"Content-Length: 3, 3", b"content-length: 4", b"Content-Length: \xb2", b"X\x7f: 1", b"X : 1",
     b"X: a\r\n folded", b"X: \x00", b"X: \xff\xfe", b"X: a\rb", b"X: a\x0b", b"no colon",
     b": none"]
)  # fmt: skip
BODY = st.sampled_from([b"", b"abc", b"ab", b"abcd", b"3\r\nabc\r\n0\r\n\r\n", b"\r\n\r\n"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
    honest = [b"Content-Length: 3"] if draw(st.booleans()) else []
    lines = [draw(STATUS), *honest, *draw(st.lists(HEADER, max_size=4))]
    return end.join([*lines, b"", b""]) + draw(BODY)


@given(answers(), st.lists(st.integers(0, 400), max_size=6))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n", [])
@example(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", [7])
@example(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n", [100, 300])
@example(b"", [])
def test_an_answer_is_read_as_h11_reads_it(answer: bytes, cuts: list[int]) -> None:
    places = sorted(cut for cut in cuts if cut < len(answer))
    pairs = zip([0, *places], [*places, len(answer)], strict=True)
    result, reusable = as_it_is_read([answer[start:end] for start, end in pairs])
    expected, may_go_on = as_h11_reads(answer)
    if len(answer) < 16_384:  # above, h11 takes a head that comes at once, and no other
        assert result == expected
        # What comes behind an answer may not have come yet: then the next look at it finds it.
        assert not reusable or may_go_on or len(places) > 0
    elif result != "RemoteProtocolError":
        assert result == expected


@given(st.integers(1, 200))
def test_an_answer_byte_by_byte(size: int) -> None:
    body = b"x" * size
    answer = b"HTTP/1.1 200 OK\r\nETag: a\r\nContent-Length: %d\r\n\r\n" % size + body
    result, reusable = as_it_is_read([bytes([byte]) for byte in answer])
    assert result == (200, {"etag": "a", "content-length": str(size)}, body)
    assert reusable


@pytest.mark.parametrize("status", [b"200 OK", b"304 Not Modified"])
def test_what_nearly_all_answers_are_is_plain(status: bytes) -> None:
    """Without it every answer would go the long way, and no other test would notice."""
    head = b"HTTP/1.1 %b\r\nServer: nginx\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"
    plain = read_plain(head % status)
    assert plain is not None
    assert plain.length == (3 if status.startswith(b"200") else 0)


MEMBER = st.binary(max_size=300).map(gzip.compress)


@given(
    st.lists(MEMBER, min_size=1, max_size=3), st.sampled_from([b"", bytes(8), b"pad"]), st.data()
)
def test_gzip_is_read_as_the_standard_library_reads_it(
    members: list[bytes], padding: bytes, data: st.DataObject
) -> None:
    """Members, padding, lies about the size, and what was cut."""
    body = b"".join(members)
    match data.draw(st.sampled_from(["whole", "padded", "lie", "cut"])):
        case "whole":
            assert decoded(body, "gzip") == gzip.decompress(body)
        case "padded":
            assert decoded(body + padding, "gzip") == gzip.decompress(body)
        case "lie":
            size = len(gzip.decompress(members[-1])) + 1 + data.draw(st.integers(0, 9))
            with pytest.raises(httpx.DecodingError):
                decoded(body[:-4] + size.to_bytes(4, "little"), "gzip")
        case _:
            with pytest.raises(httpx.DecodingError):
                decoded(body[: -data.draw(st.integers(1, 12))], "gzip")
