"""Comes and goes, by WebSocket and HTTP in turn, until ended; then prints what happened to it."""

import json
import signal
import sys
import urllib.request
from collections import Counter

from websockets.sync.client import connect

stream, http = sys.argv[1:]
seen: Counter[str] = Counter()
epochs: set[str] = set()


def end(*_: object) -> None:
    sys.stdout.write(json.dumps({**seen, "epochs": len(epochs)}))
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
while True:
    try:
        with connect(stream, max_size=None, open_timeout=30) as client:
            epochs.add(json.loads(client.recv(30))["epoch"])
        with urllib.request.urlopen(http, timeout=30) as answer:
            assert answer.status == 200
        seen["served"] += 1
    except ConnectionRefusedError:
        seen["refused"] += 1
    except Exception as error:  # taken in by a daemon that was just leaving
        seen["cut"] += 1
        sys.stderr.write(f"{error!r}\n")
