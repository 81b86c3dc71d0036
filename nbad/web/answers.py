"""The kinds of answers that the routes give."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``value`` as JSON; bytes are JSON already."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(body, status, headers, "application/json")


def refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error, and why."""
    return json_answer({"error": detail}, status, headers)


def csv_answer(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A file ``name``.csv, the columns named in its first line."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def etag(body: bytes) -> str:
    """The ETag of ``body``."""
    return f'"{sha256(body).hexdigest()[:16]}"'


def not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """304 for a client that has what the ``etag`` in ``headers`` names; else None."""
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return None


def tagged(request: Request, body: bytes, kind: str) -> Response:
    """``body`` with its ETag, or 304."""
    headers = {"etag": etag(body), "cache-control": "no-cache"}
    return not_modified(request, headers) or Response(body, headers=headers, media_type=kind)
