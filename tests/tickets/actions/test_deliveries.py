from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.tickets.conftest import last_seen
from tickets.actions import deliveries, replies
from tickets.actions.errors import Conflict
from tickets.channels import CHANNELS
from tickets.channels.base import Channel, SendReceipt, SendRefused, SendUnknown, TryAgain
from tickets.models import Delivery, Ticket
from triage.models import User


@pytest.fixture
def queued(reviewed: Ticket, agent: User) -> Delivery:
    return replies.approve(ticket=reviewed, text="Done.", version=1, answers=last_seen(reviewed), by=agent)


def _channel_that(does: Exception | str, sent: list[int]) -> type[Channel]:
    class Scripted(Channel):
        kind = "email"
        replies_by = "email"

        def send(self, delivery: Delivery) -> SendReceipt:
            sent.append(delivery.pk)
            if isinstance(does, Exception):
                raise does
            return SendReceipt(does)

    return Scripted


def _deliver(monkeypatch: pytest.MonkeyPatch, does: Exception | str) -> list[int]:
    sent: list[int] = []
    monkeypatch.setitem(CHANNELS, "email", _channel_that(does, sent))
    for claimed in deliveries.claim(10):
        deliveries.deliver(claimed)
    return sent


def _row(delivery: Delivery) -> Any:
    delivery.refresh_from_db()
    return delivery.state, [attempt.outcome for attempt in delivery.tries.all()]


def test_a_sent_reply_says_when_and_by_which_reference(queued: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _deliver(monkeypatch, "ref-1") == [queued.pk]
    assert _row(queued) == ("sent", ["sent"])
    assert queued.sent_at is not None and queued.tries.get().detail == "ref-1"


def test_a_sent_reply_is_never_claimed_again(queued: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    _deliver(monkeypatch, "ref-1")
    Delivery.objects.update(not_before=timezone.now() - timedelta(days=1))
    assert _deliver(monkeypatch, "ref-2") == []


def test_a_passing_fault_is_tried_again_later_and_kept_as_a_row(
    queued: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deliver(monkeypatch, TryAgain("The server is busy."))
    assert _row(queued) == ("queued", ["retry"])
    assert queued.not_before > timezone.now() and queued.error == "The server is busy."
    Delivery.objects.update(not_before=timezone.now())
    _deliver(monkeypatch, "ref-1")
    assert _row(queued) == ("sent", ["retry", "sent"])


def test_it_gives_up_after_the_last_attempt(queued: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(deliveries.MOST_ATTEMPTS):
        Delivery.objects.update(not_before=timezone.now())
        _deliver(monkeypatch, TryAgain("The server is busy."))
    assert _row(queued)[0] == "failed"
    assert "Given up after 6 attempts" in queued.error


def test_a_refused_reply_is_failed_at_once(queued: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    _deliver(monkeypatch, SendRefused("No such mailbox."))
    assert _row(queued) == ("failed", ["refused"])


@pytest.mark.parametrize("error", [SendUnknown("No answer after the text."), RuntimeError("a bug")])
def test_what_may_have_left_is_unknown_and_stays_so(
    queued: Delivery, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _deliver(monkeypatch, error)
    assert _row(queued) == ("unknown", ["unknown"])
    assert _deliver(monkeypatch, "ref-1") == []


def test_a_lease_that_ends_while_sending_leaves_it_unknown(queued: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    (claimed,) = deliveries.claim(1)
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliveries.give_up_expired() == 1
    sent: list[int] = []
    monkeypatch.setitem(CHANNELS, "email", _channel_that("late", sent))
    deliveries.deliver(claimed)
    assert sent == [] and _row(queued) == ("unknown", ["unknown"])


def test_a_late_finisher_does_not_overwrite_a_newer_claim(queued: Delivery, agent: User) -> None:
    (claimed,) = deliveries.claim(1)
    late = Delivery.objects.select_related("ticket").get(pk=claimed.pk)
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliveries.give_up_expired()
    deliveries.retry(delivery=queued, by=agent)
    deliveries.claim(1)
    deliveries._finish(late, Delivery.State.FAILED, deliveries.Outcome.REFUSED, "late")
    assert _row(queued)[0] == "sending"


def test_a_person_decides_about_an_unknown_reply(
    queued: Delivery, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deliver(monkeypatch, SendUnknown("No answer."))
    assert deliveries.mark_sent(delivery=queued, by=agent).state == "sent"
    with pytest.raises(Conflict):
        deliveries.retry(delivery=queued, by=agent)


def test_a_failed_reply_goes_out_when_a_person_says_so(
    queued: Delivery, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deliver(monkeypatch, SendRefused("Full mailbox."))
    deliveries.retry(delivery=queued, by=agent)
    assert _deliver(monkeypatch, "ref-2") == [queued.pk]
    assert _row(queued) == ("sent", ["refused", "sent"])
