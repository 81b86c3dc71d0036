"""The broker over TLS and behind its access control list, as docs/scaling.md tells to set it up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
import trustme
from port_kit import free_port
from redis_kit import Redis, needs_redis

from nbad.publish.broker import START, Broker, BrokerError, with_broker
from nbad.publish.entries import encode
from nbad.settings.schema import Publish

pytestmark = needs_redis

DOCS = Path(__file__).parent.parent / "docs" / "scaling.md"


class TlsRedis(Redis):
    """``url`` is the TLS port's; the certificate is for 127.0.0.1, by ``authority``."""

    def __init__(self, folder: Path, authority: trustme.CA, *options: str) -> None:
        certificate, key = folder / "redis.pem", folder / "redis.key"
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        port = free_port()
        super().__init__(
            folder, "--tls-port", str(port), "--tls-cert-file", str(certificate),
            "--tls-key-file", str(key), "--tls-auth-clients", "no", *options,
        )  # fmt: skip
        self.url = f"rediss://127.0.0.1:{port}/0"


async def write_and_read(broker: Broker) -> None:
    lease = await broker.acquire("one")
    assert lease is not None
    await broker.write("one", lease.fence, encode(lease.fence, b"{}"))
    assert len(await broker.read(START, 10, 0.1)) == 1
    await broker.release("one")


async def ask(broker: Broker) -> None:
    await broker.acquire("one")


def test_the_broker_is_spoken_to_over_tls_where_its_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(known)
    redis = TlsRedis(tmp_path, authority)
    publish = Publish(url=redis.url)
    with pytest.raises(BrokerError, match="certificate verify failed"):
        trio.run(with_broker, publish, ask)
    # As an operator does where the authority is the house's own.
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    trio.run(with_broker, publish, write_and_read)
    elsewhere = publish.model_copy(update={"url": redis.url.replace("127.0.0.1", "localhost")})
    with pytest.raises(BrokerError, match="certificate verify failed"):
        trio.run(with_broker, elsewhere, ask)


def documented_users(folder: Path) -> Path:
    """The access control list of the documentation, as a file."""
    lines = re.findall(r"^user .*$", DOCS.read_text(), re.M)
    assert len(lines) == 3
    file = folder / "users.acl"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_documented_users_may_do_their_part_and_no_more(tmp_path: Path) -> None:
    redis = Redis(tmp_path, "--aclfile", str(documented_users(tmp_path)))

    def as_user(name: str, password: str) -> Publish:
        file = tmp_path / f"{name}.password"
        file.write_text(f"{password}\n")
        return Publish(url=redis.url, user=name, password_file=file)

    daemon, relay = as_user("nbad", "DAEMON-PASSWORD"), as_user("nbad-relay", "RELAY-PASSWORD")
    trio.run(with_broker, daemon, write_and_read)

    async def only_read(broker: Broker) -> None:
        assert len(await broker.read(START, 10, 0.1)) == 1
        for forbidden in (broker.acquire("two"), broker.release("two"), broker.write("two", 1, {})):
            with pytest.raises(BrokerError, match="permission"):
                await forbidden

    trio.run(with_broker, relay, only_read)

    async def read_another(broker: Broker) -> None:
        await broker.read(START, 10, 0.1)

    for publish in (daemon, relay):
        with pytest.raises(BrokerError, match="permission"):
            trio.run(with_broker, publish.model_copy(update={"stream": "other"}), read_another)
    with pytest.raises(BrokerError, match=r"WRONGPASS|[Aa]uthenticat|invalid username"):
        trio.run(with_broker, as_user("nbad", "wrong"), ask)
    with pytest.raises(BrokerError, match=r"[Aa]uthenticat"):
        trio.run(with_broker, Publish(url=redis.url), ask)
