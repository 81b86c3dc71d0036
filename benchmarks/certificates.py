"""TLS for a benchmark: a certificate for the loopback that all who are measured trust.

Needs trustme (``make dev``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def certificate(*, wanted: bool) -> Iterator[Path | None]:
    """A server's certificate with its key, a file of PEM, where it is ``wanted``. What this process
    and those that it starts from now on trust is its authority alone: OpenSSL (aiohttp), httpx and
    nbad by the one variable, requests by the other."""
    if not wanted:
        yield None
        return
    import trustme  # not needed without

    with TemporaryDirectory(prefix="nbad-bench-") as folder:
        authority, server, trusted = trustme.CA(), Path(folder, "server"), Path(folder, "trusted")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))
        authority.cert_pem.write_to_path(str(trusted))
        os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(trusted)
        yield server
