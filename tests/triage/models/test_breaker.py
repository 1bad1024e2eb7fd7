from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from triage.models import Breaker
from triage.models.breaker import FAILURES

pytestmark = pytest.mark.django_db
HOST = "api.anthropic.com"
LEASE = timedelta(seconds=30)


def fail(times: int, *, probe: bool = False) -> None:
    for _ in range(times):
        Breaker.record_failure(HOST, "it is overloaded", probe=probe)


def age(seconds: float) -> None:
    for breaker in Breaker.objects.all():
        by = timedelta(seconds=seconds)
        breaker.failed_at = [moment - by for moment in breaker.failed_at]
        breaker.opened_at = breaker.opened_at and breaker.opened_at - by
        breaker.probe_until = breaker.probe_until and breaker.probe_until - by
        breaker.save()


def leave() -> object:
    answer = Breaker.ask_leave(HOST, probe_lease=LEASE)
    return "refused" if isinstance(answer, Breaker) else "probe" if answer else "closed"


def test_four_failures_are_borne_and_the_fifth_opens() -> None:
    fail(FAILURES - 1)
    assert leave() == "closed"
    fail(1)
    assert leave() == "refused"
    assert 29 < Breaker.objects.get().closed_to_calls_for <= 30


def test_failures_far_apart_do_not_open() -> None:
    fail(4)
    age(31)
    fail(4)
    assert leave() == "closed"


def test_after_its_rest_one_may_try_and_only_one() -> None:
    fail(5)
    age(30)
    assert Breaker.objects.get().state == "half-open"
    assert [leave(), leave()] == ["probe", "refused"]


def test_a_good_probe_closes_and_a_bad_one_opens_anew() -> None:
    fail(5)
    age(30)
    leave()
    fail(1, probe=True)
    assert leave() == "refused"
    age(30)
    assert leave() == "probe"
    Breaker.record_recovery([HOST])
    assert leave() == "closed"
    fail(4)
    assert leave() == "closed"


def test_a_probe_whose_process_died_is_forgotten_after_its_lease() -> None:
    fail(5)
    age(30)
    leave()
    age(31)
    assert leave() == "probe"


def test_a_probe_that_told_nothing_leaves_room_for_the_next() -> None:
    fail(5)
    age(30)
    leave()
    Breaker.release_probes([HOST])
    assert leave() == "probe"


def test_one_host_says_nothing_of_another() -> None:
    fail(5)
    assert Breaker.ask_leave("localhost:11434", probe_lease=LEASE) == frozenset()


def test_a_breaker_remembers_when_it_opened_and_why() -> None:
    fail(5)
    breaker = Breaker.objects.get()
    assert breaker.opened_at is not None and breaker.opened_at <= timezone.now()
    assert breaker.reason == "it is overloaded" and str(breaker) == "api.anthropic.com: open"
