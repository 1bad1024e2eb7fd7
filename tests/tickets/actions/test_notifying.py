from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asgiref.sync import async_to_sync

from tests.tickets.conftest import MakeTicket
from tickets.actions import assignment, intake, review, triage
from tickets.actions.notifying import notify, read
from tickets.models import Habits, Lane, Mailing, Notification, NotificationChoice, Ticket
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


def _told() -> list[tuple[str, str]]:
    return list(Notification.objects.order_by("pk").values_list("kind", "user__username"))


def test_being_given_a_ticket_by_another_is_told_and_taking_one_is_not(
    agent: User, lead: User, reviewed: Ticket
) -> None:
    assignment.assign(ticket=reviewed, to=lead, by=lead)
    assert _told() == []
    assignment.assign(ticket=reviewed, to=agent, by=lead)
    assert _told() == [("assigned", "ada")]


def test_a_customers_answer_is_told_to_the_assignee(agent: User, reviewed: Ticket) -> None:
    intake.add_customer_message(ticket=reviewed, text="Any news?")
    assert _told() == []
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    intake.add_customer_message(ticket=reviewed, text="Still *nothing*")
    assert _told() == [("reply", "ada")]
    assert Notification.objects.get().text == "Still nothing"


def test_an_escalation_is_told_to_the_leads_of_the_team(agent: User, lead: User, reviewed: Ticket) -> None:
    review.escalate(ticket=reviewed, reason="Needs a lawyer", by=agent)
    told = Notification.objects.get()
    assert (told.kind, told.user, told.by, told.text) == ("escalated", lead, agent, "Needs a lawyer")


def test_the_machines_escalation_is_told_once_and_not_of_an_imported_history(
    lead: User, make_ticket: MakeTicket
) -> None:
    urgent = {"title": "Production is down", "text": "Everything is down, I want to speak to a human now."}
    fresh, old = make_ticket(**urgent), make_ticket(**urgent, lane=Lane.IMPORTED)
    for _ in range(2):
        for claimed in triage.claim(10, (Lane.INTERACTIVE, Lane.IMPORTED)):
            async_to_sync(triage.triage_ticket)(claimed)
        triage.submit_again(tickets=Ticket.objects.all())
    assert {fresh.status, old.status} == {"new"}
    assert set(Ticket.objects.values_list("status", flat=True)) == {"escalated"}
    assert list(Notification.objects.values_list("ticket", "times")) == [(fresh.pk, 1)]
