from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from tickets.actions import assignment, bulk, conversation, review, status
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Status, Team, Ticket
from triage.correlation import acting
from triage.models import User


def test_closing_and_reopening_keep_the_time_of_the_end_in_step(reviewed: Ticket, agent: User) -> None:
    assert status.change(ticket=reviewed, status=Status.CLOSED, by=agent).resolved_at is not None
    assert status.change(ticket=reviewed, status=Status.IN_REVIEW, by=agent).resolved_at is None


def test_nobody_sets_a_ticket_to_new(reviewed: Ticket, agent: User) -> None:
    with pytest.raises(Invalid) as refused:
        status.change(ticket=reviewed, status=Status.NEW, by=agent)
    assert refused.value.field == "status"


def test_a_resolved_ticket_closes_by_itself_after_seven_days(reviewed: Ticket) -> None:
    reviewed.set_status(Status.RESOLVED)
    reviewed.resolved_at = timezone.now() - timedelta(days=6, hours=23)
    reviewed.save()
    assert status.close_settled() == 0
    Ticket.objects.update(resolved_at=timezone.now() - timedelta(days=7, minutes=1))
    assert status.close_settled() == 1
    reviewed.refresh_from_db()
    assert reviewed.status == Status.CLOSED
    last = reviewed.events.order_by("pgh_id").last()
    assert last is not None and last.actor == "machine:clock"


def test_a_ticket_is_assigned_to_those_who_can_see_it(reviewed: Ticket, agent: User, colleague: User) -> None:
    assert assignment.assign(ticket=reviewed, to=agent, by=agent).assignee == agent
    with pytest.raises(Invalid):
        assignment.assign(ticket=reviewed, to=colleague, by=agent)
    assert assignment.assign(ticket=reviewed, to=None, by=agent).assignee is None


def test_whoever_only_reads_is_given_nothing(reviewed: Ticket, agent: User, lead: User, auditor: User) -> None:
    for give in (
        lambda: assignment.assign(ticket=reviewed, to=auditor, by=lead),
        lambda: bulk.start(kind="assign", given="otto", tickets=Ticket.objects.all(), chosen="all", by=lead),
    ):
        with pytest.raises(Invalid, match="does not change them"):
            give()
    reviewed.refresh_from_db()
    assert reviewed.assignee is None


@pytest.mark.django_db(transaction=True)
def test_a_ticket_that_goes_to_another_team_at_that_moment_is_not_given_to_who_cannot_see_it_there(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    refused: list[str] = []

    def give() -> None:
        try:
            assignment.assign(ticket=reviewed, to=agent, by=lead)
        except Invalid as why:
            refused.append(why.code)
        finally:
            connections.close_all()

    thread = threading.Thread(target=give)
    with transaction.atomic():
        Ticket.objects.filter(pk=reviewed.pk).update(team=Team.objects.get(key="billing"))
        thread.start()
        thread.join(1)
    thread.join()
    assert refused == ["cannot_see_it"]
    assert Ticket.objects.get(pk=reviewed.pk).assignee is None


def test_a_comment_is_internal_and_names_its_author(reviewed: Ticket, agent: User) -> None:
    message = conversation.comment(ticket=reviewed, text=" Seen before.\x00 ", by=agent)
    assert (message.kind, message.text, message.author) == ("comment", "Seen before.", agent)
    assert message not in reviewed.messages.conversation()


def test_an_empty_comment_is_refused(reviewed: Ticket, agent: User) -> None:
    with pytest.raises(Invalid):
        conversation.comment(ticket=reviewed, text="\x00 \n", by=agent)


def test_an_auditor_comments_closes_and_assigns_nothing(reviewed: Ticket, auditor: User) -> None:
    with pytest.raises(Forbidden):
        conversation.comment(ticket=reviewed, text="Hello.", by=auditor)
    with pytest.raises(Forbidden):
        status.change(ticket=reviewed, status=Status.CLOSED, by=auditor)
    with pytest.raises(Forbidden):
        assignment.assign(ticket=reviewed, to=None, by=auditor)
    reviewed.refresh_from_db()
    assert reviewed.status == Status.IN_REVIEW and not reviewed.messages.filter(kind="comment").exists()


def test_who_presses_another_button_at_once_is_told_and_nothing_changes(
    reviewed: Ticket, agent: User, lead: User
) -> None:
    with acting(f"user:{agent.pk}"):
        status.change(ticket=reviewed, status=Status.RESOLVED, by=agent, seen="in_review")
    with pytest.raises(Conflict, match=rf"{agent.label} set this ticket to resolved at \d\d:\d\d"):
        status.change(ticket=reviewed, status=Status.CLOSED, by=lead, seen="in_review")
    with pytest.raises(Conflict, match=f"{agent.label} set this ticket to resolved"):
        review.escalate(ticket=reviewed, reason="A lawyer wrote.", by=lead, seen="in_review")
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.escalated) == (Status.RESOLVED, False)
    status.change(ticket=reviewed, status=Status.RESOLVED, by=lead, seen="in_review")  # both wanted the same
    status.change(ticket=reviewed, status=Status.CLOSED, by=lead)  # who saw none is not asked


def test_the_reason_of_who_escalated_first_stays(reviewed: Ticket, agent: User, lead: User) -> None:
    review.escalate(ticket=reviewed, reason="A lawyer wrote.", by=agent, seen="in_review")
    with pytest.raises(Conflict):
        review.escalate(ticket=reviewed, reason="It is about money.", by=lead, seen="in_review")
    reviewed.refresh_from_db()
    assert reviewed.escalation_reason == "A lawyer wrote."


def test_that_the_machine_has_read_it_meanwhile_stands_in_nobodys_way(reviewed: Ticket, agent: User) -> None:
    assert status.change(ticket=reviewed, status=Status.CLOSED, by=agent, seen="new").status == Status.CLOSED
