from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import F
from django.test import RequestFactory

from triage import brake
from triage.brake import Limit
from triage.models import Attempt

KIM = brake.mark("door", "kim")
THREE_A_MINUTE = Limit(3, 60)
pytestmark = pytest.mark.django_db


def later(seconds: float) -> None:
    """Let time pass: everything is that much older."""
    Attempt.objects.update(at=F("at") - timedelta(seconds=seconds))


def test_it_lets_so_many_pass_and_then_says_how_long_to_wait() -> None:
    assert [brake.press({KIM: [THREE_A_MINUTE]}) for _ in range(3)] == [0, 0, 0]
    assert 58 <= brake.press({KIM: [THREE_A_MINUTE]}) <= 60


def test_the_window_slides() -> None:
    for _ in range(3):
        brake.press({KIM: [THREE_A_MINUTE]})
        later(20)
    assert brake.press({KIM: [THREE_A_MINUTE]}) == 0  # the first is a minute old now
    assert 18 <= brake.press({KIM: [THREE_A_MINUTE]}) <= 20


def test_knocking_on_does_not_lengthen_the_wait() -> None:
    for _ in range(50):
        brake.press({KIM: [THREE_A_MINUTE]})
    assert Attempt.objects.count() == 3
    later(60)
    assert brake.press({KIM: [THREE_A_MINUTE]}) == 0


def test_the_longest_of_several_waits_counts() -> None:
    limits = [THREE_A_MINUTE, Limit(4, 600)]
    for _ in range(3):
        brake.press({KIM: limits})
    later(60)
    assert brake.press({KIM: limits}) == 0
    assert brake.press({KIM: limits}) > 500


def test_one_mark_holds_up_an_attempt_under_both_and_the_other_is_not_charged() -> None:
    other = brake.mark("door", "lea")
    for _ in range(3):
        brake.press({KIM: [THREE_A_MINUTE]})
    assert brake.press({KIM: [THREE_A_MINUTE], other: [THREE_A_MINUTE]})
    assert not Attempt.objects.filter(mark=other).exists()
    assert brake.press({other: [THREE_A_MINUTE]}) == 0


def test_a_limit_of_nought_limits_nothing() -> None:
    assert [brake.press({KIM: [Limit(0, 60)]}) for _ in range(5)] == [0] * 5


def test_released_all_is_forgiven_and_taken_back_one_is() -> None:
    for _ in range(3):
        brake.press({KIM: [THREE_A_MINUTE]})
    brake.take_back(KIM)
    assert [bool(brake.press({KIM: [THREE_A_MINUTE]})) for _ in range(2)] == [False, True]
    brake.release(KIM)
    assert not Attempt.objects.exists()


def test_what_no_limit_looks_at_is_forgotten() -> None:
    brake.press({KIM: [THREE_A_MINUTE]})
    later(brake.LONGEST - 60)
    brake.forget()
    assert Attempt.objects.count() == 1
    later(120)
    brake.forget()
    assert Attempt.objects.count() == 0


def test_no_name_and_no_address_is_kept_in_the_clear() -> None:
    brake.press({brake.mark("door", "203.0.113.9"): [THREE_A_MINUTE]})
    assert "203.0.113.9" not in Attempt.objects.get().mark
    assert brake.mark("door", "kim") != brake.mark("another door", "kim")


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8:0:1::5", "2001:db8:0:1:ffff::6", True),  # one line has them all
        ("2001:db8:0:1::5", "2001:db8:0:2::5", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
    ],
)
def test_an_address_is_a_line_of_one_customer(one: str, another: str, same: bool) -> None:
    first, second = (brake.peer_of(RequestFactory().get("/", REMOTE_ADDR=peer)) for peer in (one, another))
    assert (first == second) is same


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes")],
)
def test_a_wait_is_said_in_words(seconds: int, words: str) -> None:
    assert brake.spoken(seconds) == words


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_counted_one_by_one() -> None:
    def knock(_: int) -> int:
        try:
            return brake.press({KIM: [THREE_A_MINUTE]})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as crowd:
        waits = list(crowd.map(knock, range(24)))
    assert waits.count(0) == 3
    assert Attempt.objects.count() == 3
