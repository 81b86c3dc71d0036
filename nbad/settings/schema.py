"""What can be configured: every section and key, its type, its default and its bounds.

``nbad.toml`` says what each key means. A :class:`Config` is frozen: a reload replaces it as a
whole. :mod:`nbad.settings.load` makes one from a file and the environment.
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
    import httpx  # takes 0.1 s; a relay, which has no feed, does not need it

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
        # They would be logged with every request that fails.
        raise PydanticCustomError("url", "no user and password (set an Authorization header)")
    return value


def _host(value: str) -> str:
    try:
        value.encode("idna")  # as a look-up does, whose failure would not be an OSError
    except UnicodeError:
        raise PydanticCustomError("host", "an address or a host name") from None
    return value


def _public_url(value: str) -> str:
    return value and _url(value)


def _headers(value: dict[str, str]) -> dict[str, str]:
    """Accept only headers that can be sent: else requests would fail long after the reload."""
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
    except ValueError:  # a wrong port, brackets or host name
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
    """The feed's addresses, and how requests are made."""

    base_url: HttpUrl = "https://cdn.nba.com/static/json/liveData"
    schedule_url: HttpUrl = "https://cdn.nba.com/static/json/staticData/scheduleLeagueV2.json"
    headers: HttpHeaders = Field(default_factory=dict)
    timeout_s: Seconds = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    backoff_s: Seconds = 0.25
    http2: bool = False


class Poll(Section):
    """How often the feed is polled."""

    live_interval_s: Seconds = 1.0
    idle_interval_s: Seconds = 30.0
    refresh_interval_s: Seconds = 5.0
    max_requests_per_s: Annotated[float, Field(gt=0, le=10_000)] = 30.0


class PatternSection(Section):
    """The score pattern of each game."""

    window_s: Annotated[float, Field(ge=720, le=14_400)] = 720.0


class Model(Section):
    """The forecasting model."""

    path: Path | None = None


class Server(Section):
    """The WebSocket stream."""

    host: Host = "127.0.0.1"
    port: Port = 8765
    max_subscribers: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    queue: Annotated[int, Field(ge=1, le=1_024)] = 8
    slow: Literal["conflate", "close"] = "conflate"
    ping_interval_s: Seconds = 20.0
    heartbeat_s: Seconds = 10.0
    max_subscribers_per_address: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    max_handshakes_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    max_waiting_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 2_048
    max_connects_per_s_per_address: Annotated[float, Field(gt=0, le=100_000)] = 100.0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tokens_file: Path | None = None
    allowed_origins: list[str] = Field(default_factory=list)
    batch_interval_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = 0.0


class Http(Section):
    """The page, the JSON API, metrics and health checks."""

    host: Host = "127.0.0.1"
    port: Port = 8780
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_requests_per_s: Annotated[float, Field(gt=0, le=100_000)] = 100.0
    max_event_streams: Annotated[int, Field(ge=0, le=100_000)] = 64
    public_url: PublicUrl = ""
    open_metrics: bool = True


class Log(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"
    file: Path | None = None
    stages: Literal["every", "summary"] = "every"


class Record(Section):
    """Recordings of the feed."""

    path: Path | None = None
    payloads: bool = True
    keep_days: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 0.0
    max_gb: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.0


class State(Section):
    """What the daemon remembers across restarts."""

    path: Path | None = None


class Odds(Section):
    """The betting market's lines."""

    enabled: bool = True
    show: bool = False


class Publish(Section):
    """The log in Redis that relays read, and the lease to write it."""

    url: BrokerUrl = ""
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")] = "nbad"
    keep: Annotated[int, Field(ge=16, le=1_000_000)] = 1_000
    user: str = ""
    password_file: Path | None = None
    lease_s: Annotated[float, Field(ge=0.5, le=300, allow_inf_nan=False)] = 5.0
    required: bool = False


class BudgetsMs(Section):
    """The time budget of each stage, in ms."""

    poll: Milliseconds = 500.0
    parse: Milliseconds = 20.0
    pattern: Milliseconds = 5.0
    predict: Milliseconds = 150.0
    emit: Milliseconds = 5.0
    total: Milliseconds = 700.0


class Config(Section):
    """A whole configuration. ``Config()`` is that of an empty file."""

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
