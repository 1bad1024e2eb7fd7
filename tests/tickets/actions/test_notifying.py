from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tickets.actions.notifying import notify, read
from tickets.models import Habits, Mailing, Notification, NotificationChoice, Ticket
from triage.models import User

How = NotificationChoice.How


def _choose(user: User, kind: str, how: str) -> None:
    NotificationChoice.objects.create(user=user, kind=kind, how=how)


def test_it_tells_each_person_once_and_never_oneself(agent: User, lead: User, reviewed: Ticket) -> None:
    notify(kind="mention", ticket=reviewed, to=[agent, lead, lead], by=agent, text="Look here")
    told = Notification.objects.get()
    assert (told.user, told.by, told.text, told.read_at) == (lead, agent, "Look here", None)


def test_it_tells_nobody_who_may_not_see_the_ticket_or_has_left(
    agent: User, colleague: User, lead: User, outsider: User, reviewed: Ticket
) -> None:
    User.objects.filter(pk=lead.pk).update(is_active=False)
    notify(kind="rule", ticket=reviewed, to=[colleague, outsider, lead, agent])
    assert [told.user for told in Notification.objects.all()] == [agent]


def test_the_same_unread_one_is_renewed_and_a_read_one_is_not(agent: User, lead: User, reviewed: Ticket) -> None:
    notify(kind="reply", ticket=reviewed, to=[agent], text="First")
    notify(kind="reply", ticket=reviewed, to=[agent], by=lead, text="Second")
    told = Notification.objects.get()
    assert (told.text, told.times, told.by) == ("Second", 2, lead)
    assert read(user=agent, ticket=reviewed) == 1
    notify(kind="reply", ticket=reviewed, to=[agent], text="Third")
    assert list(Notification.objects.filter(user=agent).values_list("text", "times")) == [("Third", 1), ("Second", 2)]


def test_each_hears_of_a_kind_as_they_chose(agent: User, lead: User, auditor: User, reviewed: Ticket) -> None:
    _choose(agent, "escalated", How.MAIL)
    _choose(lead, "escalated", How.DIGEST)
    _choose(auditor, "escalated", How.NONE)
    notify(kind="escalated", ticket=reviewed, to=[agent, lead, auditor])
    assert {told.user for told in Notification.objects.all()} == {agent, lead}
    assert {(mail.user, mail.digest) for mail in Mailing.objects.all()} == {(agent, False), (lead, True)}


def test_what_a_day_brings_goes_into_one_digest(lead: User, reviewed: Ticket) -> None:
    _choose(lead, "mention", How.DIGEST)
    _choose(lead, "reply", How.DIGEST)
    notify(kind="mention", ticket=reviewed, to=[lead])
    notify(kind="reply", ticket=reviewed, to=[lead])
    assert Mailing.objects.get().notifications.count() == 2


def test_an_unknown_kind_is_a_mistake_of_the_caller(agent: User, reviewed: Ticket) -> None:
    with pytest.raises(ValueError, match="gossip"):
        notify(kind="gossip", ticket=reviewed, to=[agent])


def test_a_digest_is_due_by_the_clock_of_its_reader() -> None:
    habits = Habits(time_zone="Australia/Sydney", digest_hour=8)
    assert habits.next_digest(datetime(2026, 7, 1, 20, 0, tzinfo=UTC)) == datetime(2026, 7, 1, 22, 0, tzinfo=UTC)
    # The clock goes forward in the night of 4 October: eight in the morning is an hour earlier.
    assert habits.next_digest(datetime(2026, 10, 3, 22, 0, tzinfo=UTC)) == datetime(2026, 10, 4, 21, 0, tzinfo=UTC)
