from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.http import HttpResponse
from django.utils import timezone

from triage import brake, window
from triage.brake import Limit
from triage.models import Window

KIM, LEA = brake.mark("door", "kim"), brake.mark("door", "lea")
TEN_A_MINUTE = Limit(10, 60)
BEGIN = 1_700_000_040.0  # a window of a minute begins here
pytestmark = pytest.mark.django_db


def take(times: int, at: float, limit: Limit = TEN_A_MINUTE, mark: str = KIM) -> list[window.Room]:
    return [window.take(mark, limit, now=BEGIN + at) for _ in range(times)]


def test_it_counts_down_and_then_says_how_long_to_wait() -> None:
    rooms = take(11, 0)
    assert [room.left for room in rooms] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert [room.wait for room in rooms[:10]] == [0] * 10
    assert rooms[10].wait == 66  # a tenth of the next window must slide past


def test_who_waits_as_long_as_told_is_let_in_and_not_a_second_earlier() -> None:
    for used in (0.0, 7.0, 31.0, 59.0):
        mark = brake.mark("door", str(used))
        wait = take(11, used, mark=mark)[10].wait
        assert take(1, used + wait - 1.5, mark=mark)[0].wait > 0
        assert take(1, used + wait, mark=mark)[0].wait == 0


def test_the_window_slides_so_that_its_edge_is_no_door_to_twice_as_many() -> None:
    take(10, 59)
    assert sum(room.wait == 0 for room in take(10, 61)) == 0
    assert sum(room.wait == 0 for room in take(10, 90)) == 5  # half of the ten are out of it


def test_a_window_without_requests_is_forgiven_everything() -> None:
    take(10, 0)
    assert [room.wait for room in take(10, 120)] == [0] * 10


def test_knocking_on_does_not_lengthen_the_wait() -> None:
    take(60, 0)
    assert Window.objects.get().count == 10
    assert take(1, 66)[0].wait == 0


def test_a_clock_that_is_a_window_behind_counts_in_the_newer_one() -> None:
    take(10, 60)
    assert take(1, 59)[0].wait > 0
    assert Window.objects.get().count == 10


def test_each_counts_for_itself() -> None:
    take(10, 0)
    assert take(1, 0, mark=LEA)[0].left == 9


def test_a_limit_of_nothing_limits_nothing_and_says_nothing() -> None:
    room = take(50, 0, Limit(0, 60))[-1]
    assert (room.wait, Window.objects.count()) == (0, 0)
    assert "X-RateLimit-Limit" not in room.tell(HttpResponse())


def test_an_answer_is_told_the_room_and_only_who_waits_how_long() -> None:
    *_, last, refused = take(11, 0)
    told = last.tell(HttpResponse())
    assert [told[f"X-RateLimit-{what}"] for what in ("Limit", "Remaining", "Window")] == ["10", "0", "60"]
    assert "Retry-After" not in told
    assert refused.tell(HttpResponse())["Retry-After"] == "66"


def test_what_is_old_is_forgotten() -> None:
    take(1, 0)
    window.forget()
    assert Window.objects.count() == 1
    Window.objects.update(at=timezone.now() - timedelta(hours=2, seconds=1))
    window.forget()
    assert Window.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_hundred_at_once_are_a_hundred() -> None:
    def knock(_: int) -> int:
        try:
            return window.take(KIM, Limit(30, 3600)).wait
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(knock, range(100)))
    assert sum(wait == 0 for wait in waits) == 30
