from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core import mail
from django.db import connections
from django.utils import timezone

from tests.running import free_port
from tickets import tasks
from tickets.actions import mailings, outgoing
from tickets.actions.notifying import notify, read
from tickets.models import Habits, Mailing, Notification, NotificationChoice, Ticket
from triage.models import User

How, State = NotificationChoice.How, Mailing.State


@pytest.fixture
def by_mail(lead: User) -> User:
    for kind in ("mention", "reply"):
        NotificationChoice.objects.create(user=lead, kind=kind, how=How.MAIL)
    return lead


def _send() -> list[str]:
    for claimed in mailings.claim(10):
        mailings.send(claimed)
    return [mailing.state for mailing in Mailing.objects.order_by("pk")]


def test_a_mail_says_what_happened_and_leads_there_with_no_words_of_others(
    by_mail: User, agent: User, reviewed: Ticket
) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(subject="My card 4111 " + "was charged twice " * 15)
    notify(kind="mention", ticket=reviewed, to=[by_mail], by=agent, text="Kim lives in Rose Street 5")
    assert _send() == [State.SENT]
    sent: Any = mail.outbox[0]
    html = sent.alternatives[0].content
    assert sent.to == [by_mail.email]
    assert sent.subject.startswith(f"Ada mentions you: #{reviewed.number} My card")
    assert f"/tickets/{reviewed.number}/" in sent.body
    assert f'/tickets/{reviewed.number}/">#{reviewed.number} My card' in html
    assert "Rose Street" not in sent.body + html
    assert max(len(line) for line in sent.body.splitlines()) < 100
    assert Notification.objects.get().mailed_at is not None


def test_who_chose_so_is_mailed_what_was_written(by_mail: User, agent: User, reviewed: Ticket) -> None:
    Habits.objects.create(user=by_mail, quoted=True)
    notify(kind="mention", ticket=reviewed, to=[by_mail], by=agent, text="See <b>Rose</b> Street")
    _send()
    sent: Any = mail.outbox[0]
    assert "See <b>Rose</b> Street" in sent.body
    assert "See &lt;b&gt;Rose&lt;/b&gt; Street" in sent.alternatives[0].content


def test_what_was_read_at_the_desk_meanwhile_is_not_mailed(by_mail: User, reviewed: Ticket) -> None:
    notify(kind="reply", ticket=reviewed, to=[by_mail])
    read(user=by_mail)
    assert _send() == [State.SKIPPED]
    assert mail.outbox == []


def test_a_ticket_that_went_out_of_sight_is_not_mailed(agent: User, lead: User, reviewed: Ticket) -> None:
    NotificationChoice.objects.create(user=agent, kind="reply", how=How.MAIL)
    notify(kind="reply", ticket=reviewed, to=[agent])
    agent.agent.teams.clear()
    agent.agent.teams.create(key="elsewhere", name="Elsewhere")
    assert _send() == [State.SKIPPED]


def test_a_digest_waits_for_its_hour_and_holds_the_whole_day(lead: User, agent: User, reviewed: Ticket) -> None:
    for kind in ("mention", "assigned"):
        NotificationChoice.objects.create(user=lead, kind=kind, how=How.DIGEST)
        notify(kind=kind, ticket=reviewed, to=[lead], by=agent)
    assert _send() == [State.QUEUED]
    Mailing.objects.update(not_before=timezone.now())
    assert _send() == [State.SENT]
    assert mail.outbox[0].subject == "Your day at the desk: 2 things new"
    assert "Ada mentions you" in mail.outbox[0].body and "Ada gave you this ticket" in mail.outbox[0].body


def test_a_digest_begins_with_what_its_reader_carries(lead: User, agent: User, reviewed: Ticket) -> None:
    NotificationChoice.objects.create(user=lead, kind="mention", how=How.DIGEST)
    late = timezone.now() - timedelta(hours=1)
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=lead, due_at=late)
    notify(kind="mention", ticket=reviewed, to=[lead], by=agent)
    Mailing.objects.update(not_before=timezone.now())
    assert _send() == [State.SENT]
    words = "1 open ticket is yours, 1 past its promised time, 1 with a draft to approve."
    assert mail.outbox[0].body.startswith(words)
    assert words in mail.outbox[0].message().as_string()


def test_a_failed_mail_is_tried_again_and_in_the_end_shown_as_failed(
    by_mail: User, reviewed: Ticket, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "tickets.channels.email.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    notify(kind="reply", ticket=reviewed, to=[by_mail])
    assert _send() == [State.QUEUED]
    assert Mailing.objects.get().not_before > timezone.now()
    for _ in range(outgoing.MOST_ATTEMPTS):
        Mailing.objects.update(not_before=timezone.now())
        _send()
    mailing = Mailing.objects.get()
    assert mailing.state == State.FAILED and "Given up after 6 attempts" in mailing.error


def test_nobody_is_mailed_twice_after_a_worker_died_in_the_middle(by_mail: User, reviewed: Ticket) -> None:
    notify(kind="reply", ticket=reviewed, to=[by_mail])
    (claimed,) = mailings.claim(10)
    assert mailings.claim(10) == []
    Mailing.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    mailings.give_up_expired()
    mailings.send(claimed)
    assert _send() == [State.UNKNOWN]
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_the_worker_sends_it_by_itself_once(by_mail: User, agent: User, reviewed: Ticket) -> None:
    notify(kind="mention", ticket=reviewed, to=[by_mail], by=agent)
    for _ in range(2):
        asyncio.run(tasks.Drain("interactive").run())
    asyncio.run(sync_to_async(connections.close_all)())
    assert [one.subject for one in mail.outbox] == [f"Ada mentions you: #{reviewed.number} Export fails"]
    assert Mailing.objects.get().state == State.SENT
