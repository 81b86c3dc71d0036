"""What can be configured: every section and key, its type, its default and its bounds.

Frozen; a daemon swaps a whole :class:`Config` for another, never a key. How a file and the
environment become one is :mod:`nbad.settings.load`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import h11
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(gt=0, le=600_000, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]


def _url(value: str) -> str:
    import httpx  # 0.1 s, which a relay, without a feed, starts sooner

    try:
        url = httpx.URL(value)
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise PydanticCustomError(
            "url", "an address ({why})", {"why": str(error).rstrip(".")}
        ) from None
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?(?<!/)", value):
        raise PydanticCustomError("url", "http://HOST/PATH or https://…, no slash at its end")
    if url.userinfo:
        # It would be in the log with every request that fails.
        raise PydanticCustomError("url", "no user and password (set an Authorization header)")
    return value


def _host(value: str) -> str:
    try:
        value.encode("idna")  # as whoever looks it up does: that is no OSError where it fails
    except UnicodeError:
        raise PydanticCustomError("host", "an address or a host name") from None
    return value


def _public_url(value: str) -> str:
    return value and _url(value)


def _headers(value: dict[str, str]) -> dict[str, str]:
    """Only what can be sent: else the first request would fail, long after the reload."""
    for name, text in value.items():
        try:
            h11.Request(
                method="GET",
                target="/",
                headers=[(b"Host", b"nbad"), (name.encode("ascii"), text.encode("ascii"))],
            )
        except (h11.LocalProtocolError, UnicodeError):
            raise PydanticCustomError(
                "header", "{name} to be a header of printable ASCII", {"name": repr(name)}
            ) from None
    return value


def _broker_url(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").encode("idna")
        form = re.fullmatch(r"rediss?://[^\s/@?#]+(/\d{1,5})?", value)
        good = form is not None and host and parts.port != 0
    except ValueError:  # of the port, the brackets, or a name that is none
        good = False
    if not good:
        raise PydanticCustomError(
            "broker", "redis://HOST:PORT/DB or rediss://…, without user and password"
        )
    return value


BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
HttpUrl = Annotated[str, AfterValidator(_url)]
Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
HttpHeaders = Annotated[dict[str, str], AfterValidator(_headers)]


class Section(BaseModel):
    """A section of the file: frozen, and strict (a string is not a number)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _no_nul(cls, value: object) -> object:
        if isinstance(value, Path) and "\0" in str(value):
            raise PydanticCustomError("path", "a path without NUL")
        return value


class Feed(Section):
    """Where the data comes from, and how it is asked for."""

    base_url: HttpUrl = Field(
        "https://cdn.nba.com/static/json/liveData",
        description="the live data: scoreboard/…, playbyplay/…, boxscore/… and odds/… below it",
    )
    schedule_url: HttpUrl = Field(
        "https://cdn.nba.com/static/json/staticData/scheduleLeagueV2.json",
        description="the season's schedule with its results",
    )
    headers: HttpHeaders = Field(
        default_factory=dict, description="headers added to or put in place of the built-in ones"
    )
    timeout_s: Seconds = Field(5.0, description="for one answer, from connecting to its last byte")
    retries: Annotated[int, Field(ge=0, le=10)] = Field(
        3, description="further tries after 429, 500, 502, 503, 504 and transport errors"
    )
    backoff_s: Seconds = Field(0.25, description="the wait before the first retry; doubles")
    http2: bool = Field(False, description="offer HTTP/2 (slower on the CPU than HTTP/1.1)")


class Poll(Section):
    """How often the feed is asked."""

    live_interval_s: Seconds = Field(1.0, description="time between ticks while a game is live")
    idle_interval_s: Seconds = Field(30.0, description="time between ticks while none is")
    refresh_interval_s: Seconds = Field(
        5.0,
        description="a live game's plays are asked for this often at least, score change or none",
    )
    max_requests_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        30.0, description="the ceiling for the whole process, retries included"
    )


class PatternSection(Section):
    """What the pattern builder keeps."""

    window_s: Annotated[float, Field(ge=720, le=14_400)] = Field(
        720.0, description="game seconds of score differential kept per game, at least the model's"
    )


class Model(Section):
    """What predicts."""

    path: Path | None = Field(None, description="a folder made by `nbad train`; empty: the bundled")


class Server(Section):
    """The WebSocket stream."""

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8765, description="port to listen on; 0 takes a free one")
    max_subscribers: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000, description="maximum subscribers; more are closed with code 4013"
    )
    queue: Annotated[int, Field(ge=1, le=1_024)] = Field(
        8, description="batches kept for a subscriber that reads too slowly"
    )
    slow: Literal["conflate", "close"] = Field(
        "conflate",
        description="past the queue: conflate: the newest of each game in one batch; close: 4008",
    )
    ping_interval_s: Seconds = Field(
        20.0, description="ping, and drop whoever did not answer the last"
    )
    heartbeat_s: Seconds = Field(10.0, description="a heartbeat where nothing was sent for so long")
    max_subscribers_per_address: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0,
        description="maximum subscribers per client address; more are closed with code 4013; "
        "0: no limit",
    )
    max_handshakes_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        256, description="connections of one address in their handshake; more wait"
    )
    max_waiting_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        2_048,
        description="connections of one address that wait for a handshake; more are reset: raise "
        "it where many subscribers come through one proxy",
    )
    max_connects_per_s_per_address: Annotated[float, Field(gt=0, le=100_000)] = Field(
        100.0,
        description="connections of one address let in a second, twice as many at once; more "
        "wait: raise it where many subscribers come through one proxy",
    )
    tls_cert: Path | None = Field(None, description="PEM chain for wss://; empty: no TLS")
    tls_key: Path | None = Field(None, description="its key; empty: in the same file")
    tokens_file: Path | None = Field(
        None, description="one token per line, # for comments; empty: no token is needed"
    )
    allowed_origins: list[str] = Field(
        default_factory=list, description="pages that may connect, as https://HOST; empty: any"
    )
    batch_interval_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = Field(
        0.0, description="minimum batch interval: joins ticks; 0: a batch per tick"
    )


class Http(Section):
    """The page, the figures and the health checks."""

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8780, description="port to listen on; 0 takes a free one")
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        256, description="connections at once; more wait"
    )
    max_connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = Field(
        64, description="of them those of one address; more wait"
    )
    max_requests_per_s: Annotated[float, Field(gt=0, le=100_000)] = Field(
        100.0, description="requests a second that one address is served; more wait"
    )
    max_event_streams: Annotated[int, Field(ge=0, le=100_000)] = Field(
        64, description="of them, clients that follow /v1/events at once; more are answered 503"
    )
    public_url: PublicUrl = Field(
        "",
        description="address under which others reach the page, as https://HOST, for the pictures "
        "of shared links; empty: the one by which each request came",
    )
    open_metrics: bool = Field(
        True, description="serve /metrics without a token too, where [server] tokens_file asks one"
    )


class Log(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level: debug, info, warning, error"
    )
    format: Literal["json", "console"] = Field(
        "json", description="json: JSON lines; console: for people"
    )
    file: Path | None = Field(None, description="empty: standard output")
    stages: Literal["every", "summary"] = Field(
        "every", description="every: a line for each stage and tick; summary: one a minute for all"
    )


class Record(Section):
    """What is kept of the feed."""

    path: Path | None = Field(
        None,
        description="a folder for every payload the feed sent and for past nights; empty: nothing "
        "is kept",
    )
    payloads: bool = Field(
        True, description="false: keep past nights only (some 30 KB a game), no payloads"
    )
    keep_days: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = Field(
        0.0, description="delete recordings older than this, in days; 0: none"
    )
    max_gb: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = Field(
        0.0, description="delete the oldest recordings past this size of all, in GB; 0: none"
    )


class State(Section):
    """What the daemon remembers."""

    path: Path | None = Field(
        None,
        description="a folder for the results it learnt and the last odds; empty: systemd's "
        "StateDirectory, where there is one, else nothing is kept",
    )


class Odds(Section):
    """The betting market's lines."""

    enabled: bool = Field(
        True, description="read the feed's odds until tip-off and forecast from them too"
    )
    show: bool = Field(False, description="include the market's line in each game message")


class Publish(Section):
    """The log in Redis that relays read, and which of several daemons writes it."""

    url: BrokerUrl = Field(
        "", description="redis://HOST:PORT/DB, or rediss:// for TLS; empty: nothing is published"
    )
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")] = Field(
        "nbad", description="the key of the Redis stream; the lease's key derives from it"
    )
    keep: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        1_000, description="batches that the stream keeps"
    )
    user: str = Field("", description="the broker's user; empty: its default user")
    password_file: Path | None = Field(
        None, description="a file that holds the password and nothing else; empty: none"
    )
    lease_s: Annotated[float, Field(ge=0.5, le=300, allow_inf_nan=False)] = Field(
        5.0,
        description="of several daemons one publishes; another goes on once it was silent so long",
    )
    required: bool = Field(
        False, description="whether /readyz is 503 while this daemon cannot publish, or stands by"
    )


class BudgetsMs(Section):
    """What each stage may take before it is warned of, in ms."""

    poll: Milliseconds = Field(500.0, description="from the first request to the last answer")
    parse: Milliseconds = Field(20.0, description="bytes to typed updates")
    pattern: Milliseconds = Field(5.0, description="updates to features")
    predict: Milliseconds = Field(150.0, description="features to forecasts")
    emit: Milliseconds = Field(5.0, description="forecasts to every socket that is ready")
    total: Milliseconds = Field(700.0, description="from the first request to the emission")


class Config(Section):
    """Everything in force. ``Config()`` is what an empty file means."""

    feed: Feed = Feed()
    poll: Poll = Poll()
    pattern: PatternSection = PatternSection()
    model: Model = Model()
    server: Server = Server()
    http: Http = Http()
    log: Log = Log()
    record: Record = Record()
    state: State = State()
    odds: Odds = Odds()
    publish: Publish = Publish()
    budgets_ms: BudgetsMs = BudgetsMs()
