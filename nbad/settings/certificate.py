"""When a certificate expires: what Python's ssl keeps to itself of those that it loads."""

from __future__ import annotations

import math
import re
import ssl
from datetime import UTC, datetime

WARN_S = 14 * 86_400.0
"""How long before it expires the log warns: tools that renew certificates do so earlier."""

# As OpenSSL finds them: lines, with only base64 between. A file may also hold remarks.
_PEM = re.compile(
    rb"^-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----", re.MULTILINE
)
_TIME = rb"(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)"
# X.509's validity: a sequence of two times, each with two digits for its year, or with four.
_VALIDITY = re.compile(rb"\x30[\x1e\x20\x22]%b[\x17\x18][\x0d\x0f](\d{12,14})Z" % _TIME)


def expiry(pem: bytes) -> float:
    """When the first to expire of the certificates in ``pem`` does, in s since the epoch; infinity
    where none says. OpenSSL, which loads them, reads no more of a date than that there is one."""
    chain = (ssl.PEM_cert_to_DER_cert(each.decode()) for each in _PEM.findall(pem))
    found = filter(None, map(_VALIDITY.search, chain))
    return min((_seconds(each[1].decode()) for each in found), default=math.inf)


def _seconds(digits: str) -> float:
    form = "%y%m%d%H%M%S" if len(digits) == 12 else "%Y%m%d%H%M%S"
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC).timestamp()
    except ValueError:  # no such day
        return math.inf
