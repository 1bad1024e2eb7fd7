from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from triage import queue
from triage.models import Pause

pytestmark = pytest.mark.django_db


def test_a_pause_says_who_and_why_and_its_end_is_kept_as_history() -> None:
    Pause.begin(by="Ada", reason="  a bad\nfit ")
    found = Pause.in_force()
    assert found is not None and (found.begun_by, found.reason) == ("Ada", "a bad fit")
    assert Pause.end(by="Bruno") and Pause.in_force() is None
    found.refresh_from_db()
    assert found.ended_by == "Bruno" and found.ended_at is not None
    Pause.begin(by="Ada")
    assert Pause.objects.count() == 2


def test_a_second_pause_is_the_first_one() -> None:
    first = Pause.begin(by="Ada", reason="one")
    assert Pause.begin(by="Bruno", reason="two") == first
    assert Pause.objects.get().reason == "one"


def test_nothing_ends_twice() -> None:
    Pause.begin(by="Ada")
    assert [Pause.end(by="Ada"), Pause.end(by="Ada")] == [True, False]


def test_its_end_rings_so_that_reading_begins_at_once() -> None:
    Pause.begin(by="Ada")
    assert queue.unclaimed("interactive") == 0
    Pause.end(by="Ada")
    assert queue.unclaimed("interactive") == queue.unclaimed("batch") == 1


def test_the_database_itself_holds_one_pause_at_most_and_each_with_somebody() -> None:
    Pause.objects.create(begun_by="Ada")
    with pytest.raises(IntegrityError), transaction.atomic():
        Pause.objects.create(begun_by="Bruno")
    with pytest.raises(IntegrityError), transaction.atomic():
        Pause.objects.create(begun_by="", ended_at=timezone.now(), ended_by="Bruno")
    with pytest.raises(IntegrityError), transaction.atomic():
        Pause.objects.update(ended_at=timezone.now())
