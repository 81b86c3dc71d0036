"""The tuned pipeline without its broadcaster: each tick is sent as soon as it is predicted."""

from __future__ import annotations

from functools import partial

from common import serve
from tuned import make

if __name__ == "__main__":
    serve("tuned, at once", partial(make, broadcast_s=0.0))
