from __future__ import annotations

import json
import time

import pytest

from tickets.live import EVERYTHING, Audience
from tickets.presence import AWAY, FORGET_AFTER
from tickets.whereabouts import AT_ONCE, Glance, Spot, Whereabouts

ALL, BILLING = Audience(frozenset({EVERYTHING})), Audience(frozenset({"team-2"}))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def _spot(desk: str = "a", doing: str = "viewing", *, group: str = "team-1", person: int = 1, said: int = 1) -> Spot:
    return Spot(desk, 7, group, person, f"Person {person}", doing, said)


def test_a_queue_is_told_once_of_each_change_and_never_of_oneself() -> None:
    known = Whereabouts()
    theirs, own = Glance(known, ALL, 2), Glance(known, ALL, 1)
    known.note(_spot())
    for glance in (theirs, own):
        glance.touch([7])
    assert theirs.take() == {7: [{"name": "Person 1", "doing": "viewing"}]}
    assert own.take() == {}
    theirs.touch([7])
    assert theirs.take() == {}
    known.note(_spot(doing=AWAY, said=2))
    theirs.touch([7])
    assert theirs.take() == {7: []}


def test_who_may_not_see_the_ticket_is_told_nobody_and_loses_those_who_moved_out_of_sight() -> None:
    known = Whereabouts()
    glance = Glance(known, BILLING, 2)
    known.note(_spot())
    glance.touch([7])
    assert glance.take() == {}
    known.note(_spot(group="team-2", said=2))
    glance.touch([7])
    assert list(glance.take()) == [7]
    known.note(_spot(group="team-1", said=3))
    glance.touch([7])
    assert glance.take() == {7: []}


def test_what_was_said_earlier_and_comes_late_changes_nothing() -> None:
    known = Whereabouts()
    known.note(_spot(doing=AWAY, said=5))
    known.note(_spot(said=4))
    assert known.at(7, ALL, but=2) == []


def test_one_person_at_two_desks_stands_once_with_what_matters_most() -> None:
    known = Whereabouts()
    known.note(_spot("a"))
    known.note(_spot("b", "replying"))
    assert known.at(7, ALL, but=2) == [{"name": "Person 1", "doing": "replying"}]


def test_the_desks_of_a_silent_process_are_forgotten_and_ones_own_are_not(clock: list[float]) -> None:
    known = Whereabouts()
    known.note(_spot("there", person=3))
    known.note_own(_spot("here", person=1))
    glance = Glance(known, ALL, 2)
    glance.touch_all()
    assert [one["name"] for one in glance.take()[7]] == ["Person 1", "Person 3"]
    clock[0] += FORGET_AFTER + 1
    glance.touch_all()
    assert [one["name"] for one in glance.take()[7]] == ["Person 1"]
    known.note_own(_spot("here", AWAY, person=1, said=2))
    clock[0] += FORGET_AFTER + 1
    assert known.tickets() == []


def test_a_process_says_its_own_spots_once_for_all_in_messages_that_postgresql_takes(clock: list[float]) -> None:
    known = Whereabouts()
    known.note(_spot("elsewhere"))
    for number in range(AT_ONCE + 1):
        desk = f"specific.{'f' * 32}!{number:032}"
        known.note_own(Spot(desk, 10**9 + number, "team-12345", number, "\N{CLOWN FACE}" * 300, "commenting", 10**16))
    told = list(known.due())
    assert [len(part) for part in told] == [AT_ONCE, 1]
    assert all(len(json.dumps([["queues"], {"type": "queue.company", "spots": part}])) < 8000 for part in told)
    assert list(known.due()) == []
    clock[0] += 10
    assert len(list(known.due())) == 2
