"""Reading only what is new of a play-by-play: always what reading all of it gives."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_kit import examples

from nbad.domain import Play
from nbad.feed.decode import BadData
from nbad.feed.incremental import Reading, read
from nbad.feed.playbyplay import plain_play
from nbad.simulator import simulate_night

LIVE = Path(__file__).parent.parent.parent / "shared/data/live/playbyplay_0022000001.json"


@cache
def games() -> tuple[tuple[Any, ...], ...]:
    """The actions of a simulated game and, where there is one, of a real one."""
    night = simulate_night(1, 4)
    resource = night.play_by_play(night.game_ids[0], night.ends_at)
    assert resource is not None
    bodies = [resource.body, *([LIVE.read_bytes()] if LIVE.exists() else [])]
    return tuple(tuple(orjson.loads(body)["game"]["actions"]) for body in bodies)


def document(actions: list[Any], time: int, spaced: bool = False) -> bytes:
    whole = {
        "meta": {"version": 1, "time": f"2026-01-14 20:57:{time:02}"},
        "game": {"gameId": "0022000001", "actions": actions},
    }
    return json.dumps(whole, separators=(", ", ": ") if spaced else (",", ":")).encode()


def outcome(body: bytes, last: Reading | None) -> tuple[Any, Reading | None]:
    """What is read, in a form that compares; and the reading, None where there is none."""
    try:
        made = read(body, last)
    except BadData as error:
        return str(error), last
    return (made.game_id, made.plays, made.said, made.to_target_score), made


EDITS = st.sampled_from(
    ["append", "edit", "insert", "delete", "swap", "cut", "break", "garble", "twice", "late"]
)
STEPS = st.lists(st.tuples(EDITS, st.floats(0, 1)), min_size=1, max_size=12)


@examples(30)
@given(st.integers(0, 1), st.booleans(), st.integers(1, 60), STEPS)
def test_the_tail_read_is_the_whole_read(
    which: int, spaced: bool, first: int, steps: list[tuple[str, float]]
) -> None:
    source = list(games()[which % len(games())])
    at = len(source) * first // 61 + 1
    actions = source[:at]
    last: Reading | None = None
    for time, (edit, place) in enumerate([("append", 0.0), *steps]):
        index = int(place * (len(actions) - 1)) if actions else 0
        body = None
        if edit == "append":
            more = 1 + int(place * 5)
            actions, at = actions + source[at : at + more], at + more
        elif edit == "insert":
            extra = source[index] | {"actionNumber": 9000 + time}
            actions = [*actions[:index], extra, *actions[index:]]
        elif actions and edit == "twice":
            # Said again further down: what it says there holds.
            twice = actions[index] | {"orderNumber": 90_000_000 + time}
            actions = [*actions, *source[at : at + 2], twice, twice | {"description": "again"}]
        elif actions and edit == "late":
            order = actions[index]["orderNumber"] - 1
            actions = [
                *actions,
                source[index] | {"actionNumber": 9000 + time, "orderNumber": order},
            ]
        elif actions and edit == "edit":
            changed = actions[index] | {"description": f'a "new" word, ]}}}} {time}'}
            actions = [*actions[:index], changed, *actions[index + 1 :]]
        elif actions and edit == "delete":
            actions = actions[:index] + actions[index + 1 :]
        elif actions and edit == "swap":
            actions = actions[index:] + actions[:index]
        elif actions and edit == "cut":
            actions = actions[: index + 1]
        elif actions and edit == "break":
            broken = actions[index] | {"scoreHome": None, "clock": ""}
            if place > 0.5:  # it cannot be placed: it is left out, and comes when it can be read
                broken |= {"orderNumber": None}
            body = document([*actions[:index], broken, *actions[index + 1 :]], time, spaced)
        elif edit == "garble":
            body = document(actions, time, spaced)
            body = body[: int(place * len(body))] + b"]}}"
        if body is None:
            body = document(actions, time, spaced)
        whole, _ = outcome(body, None)
        before = last
        tail, last = outcome(body, last)
        assert tail == whole
        if before is not None and last is not before and last is not None:
            shared = zip(last.plays[: last.shared], before.plays, strict=False)
            assert all(one is other for one, other in shared)
            assert last.shared <= len(before.plays)


@pytest.mark.parametrize(
    "other",
    [
        b'{"meta":{"actions":[%b]},"game":{"gameId":"0022000001","actions":[]}}',
        b'{"game":{"gameId":"0022000001","actions":[%b],"actions":[]}}',
        b'{"game":{"gameId":"0022000001","actions":[%b]},"game":{"gameId":"0022000001","actions":[]}}',
        b'{"x":1,"game":{"gameId":"0022000001","actions":[%b]},"game":{},"x":{"y":[]}}',
        b'{"game":{"gameId":"0022000001","x":"\\"actions\\":[","actions":[%b]}}',
        b'{"game":{"gameId":"0022000001","actions":[[%b]]}}',
        b'{"game":{"gameId":"0022000001","actions":[%b]}} ',
        b'{"game":{"actions":[%b]}}',
        b'{"actions":[%b]}}',
    ],
)
def test_what_only_looks_alike_is_read_as_what_it_is(other: bytes) -> None:
    known = document(list(games()[0][:30]), 1)
    actions = known[known.index(b"[") + 1 : -3]
    last = read(known)
    assert last.start
    assert outcome(other % actions, last)[0] == outcome(other % actions, None)[0]


def test_what_is_appended_to_another_list_is_no_action() -> None:
    first, second = (json.dumps(a, separators=(",", ":")) for a in games()[0][:2])
    other = '{"game":{"gameId":"0022000001","actions":[%s]},"x":{"y":[{"z":1}%s]}}'
    last = read((other % (first, "")).encode())
    grown = (other % (first, f",{second}")).encode()
    assert len(read(grown).said) == 1
    assert outcome(grown, last)[0] == outcome(grown, None)[0]


def test_what_looks_like_an_action_may_be_within_one() -> None:
    """One that begins as none does and one that holds another: as many as there are, and amiss."""
    said = [json.dumps(a, separators=(",", ":")) for a in games()[0][:4]]
    said[1] = said[1].replace("{", "{ ", 1)
    said[2] = f'{said[2][:-1]},"x":{{"actionNumber":7}}}}'
    whole = '{"game":{"gameId":"0022000001","actions":[%s]}}'
    last = read((whole % ",".join(said)).encode())
    for at in range(4):
        edited = [each.replace('"period":1', '"period":2') for each in said[at:]]
        body = (whole % ",".join(said[:at] + edited)).encode()
        assert outcome(body, last)[0] == outcome(body, None)[0]


def test_only_the_new_actions_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Any] = []

    def parse(action: Any, times: tuple[str, str] | None) -> Play | None:
        parsed.append(action)
        return plain_play(action, times)

    monkeypatch.setattr("nbad.feed.incremental.plain_play", parse)
    actions = list(games()[0])
    last = read(document(actions[:-3], 1))
    parsed.clear()
    made = read(document(actions, 2), last)
    assert parsed == actions[-3:]
    assert made.plays[: len(last.plays)] == last.plays
    assert all(new is old for new, old in zip(made.said, last.said, strict=False))


def numbered(action: Any, number: int, order: int) -> Any:
    return action | {"actionNumber": number, "orderNumber": order}


@pytest.mark.parametrize(
    "numbers_and_orders",
    [
        [(9001, 90_000_001), (9002, 90_000_002)],  # in order
        [(9002, 90_000_002), (9001, 90_000_001)],
        [(9001, 5)],  # put in before what is known
        [(50, 90_000_001)],  # said before, and now at another place
        [(9001, 90_000_001), (9001, 90_000_002)],  # said twice, both new
        [(-1, 90_000_001), (9001, 90_000_002), (-1, 90_000_003)],  # the last known, and again
    ],
)
def test_new_actions_in_any_order_are_put_in_theirs(
    numbers_and_orders: list[tuple[int, int]],
) -> None:
    for game in games():
        actions = list(game[:200])
        last = read(document(actions, 1))
        assert last.plays is last.said
        final = last.plays[-1].number
        new = [
            numbered(game[200 + place], final if number < 0 else number, order)
            for place, (number, order) in enumerate(numbers_and_orders)
        ]
        body = document(actions + new, 2)
        assert outcome(body, last)[0] == outcome(body, None)[0]
