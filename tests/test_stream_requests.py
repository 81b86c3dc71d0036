"""What a client may say, and what it is told where it says something else."""

from __future__ import annotations

import pytest

from nbad.stream.batch import Interest
from nbad.stream.cursor import Since
from nbad.stream.requests import BadRequestError, Ping, Subscribe, Unsubscribe, parse_request


def test_what_it_may_say() -> None:
    text = '{"op":"subscribe","games":["0022500001"],"teams":["bos"],"since":"ab.7"}'
    assert parse_request(text) == Subscribe(
        Interest(frozenset({"0022500001"}), frozenset({"BOS"})), Since("ab", 7)
    )
    assert parse_request('{"op":"subscribe"}') == Subscribe(Interest(), None)
    assert parse_request('{"op":"unsubscribe"}') == Unsubscribe()
    assert parse_request('{"op":"ping","id":[1]}') == Ping([1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "expected JSON, was not: at character 1"),
        ("[]", "expected an object, was a list"),
        ("{}", "op: expected subscribe, unsubscribe or ping"),
        (
            '{"op":"subscribe","team":["BOS"]}',
            "team: expected a known key, was unknown; the nearest is teams",
        ),
        ('{"op":"subscribe","games":"x"}', "games: expected a list of strings, was a string"),
        (
            '{"op":"subscribe","games":[22500123]}',
            "games: expected a list of strings, a number was in it",
        ),
        ('{"op":"subscribe","since":"7"}', "since: expected EPOCH.SEQ, as in snapshot and batch"),
    ],
)
def test_what_it_is_told(text: str, said: str) -> None:
    with pytest.raises(BadRequestError) as error:
        parse_request(text)
    assert str(error.value) == said
