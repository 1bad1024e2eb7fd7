from __future__ import annotations

import pytest

from tests.tickets.conftest import MakeTicket
from tickets.actions import intake
from tickets.actions.errors import Conflict, Invalid
from tickets.channels.base import Inbound
from tickets.models import Draft, Requester, Source, Status, Ticket, TriageState


def _inbound(**given: object) -> Inbound:
    return Inbound.model_validate(
        {"title": "Export fails", "text": "It stops.", "requester_email": "kim@example.com", **given}
    )


def test_a_ticket_is_stored_with_its_message_and_waits_for_the_machine(form: Source) -> None:
    receipt = intake.receive(_inbound(priority="P2", tier=2), source=form)
    ticket = receipt.ticket
    assert receipt.created
    assert (ticket.status, ticket.triage_state) == (Status.NEW, TriageState.SUBMITTED)
    assert (ticket.submitted_priority, ticket.submitted_tier, ticket.priority) == ("P2", 2, "")
    assert ticket.messages.get().text == "It stops."


def test_its_work_is_enqueued_in_the_same_transaction(form: Source) -> None:
    from django_q.models import OrmQ

    OrmQ.objects.all().delete()
    intake.receive(_inbound(), source=form)
    assert OrmQ.objects.filter(key="interactive").count() == 1


def test_the_same_external_id_gives_the_first_ticket_back(form: Source) -> None:
    first = intake.receive(_inbound(external_id="X-1"), source=form)
    again = intake.receive(_inbound(external_id="X-1", title="Another title"), source=form)
    assert (again.created, again.ticket.pk) == (False, first.ticket.pk)
    assert Ticket.objects.count() == 1


def test_the_same_external_id_of_another_source_is_another_ticket(form: Source) -> None:
    other = Source.objects.create(kind="api", name="crm")
    first = intake.receive(_inbound(external_id="X-1"), source=form)
    second = intake.receive(_inbound(external_id="X-1"), source=other)
    assert second.created and second.ticket.pk != first.ticket.pk


def test_an_idempotency_key_with_another_body_is_refused(form: Source) -> None:
    first = intake.receive(_inbound(idempotency_key="k"), source=form)
    again = intake.receive(_inbound(idempotency_key="k"), source=form)
    assert not again.created and again.ticket.pk == first.ticket.pk
    with pytest.raises(Conflict, match="Idempotency-Key"):
        intake.receive(_inbound(idempotency_key="k", title="Another"), source=form)


def test_one_customer_is_one_requester_whatever_the_case_of_the_address(form: Source) -> None:
    intake.receive(_inbound(requester_email="Kim@Example.com", requester_name=""), source=form)
    intake.receive(_inbound(requester_email="kim@example.com", requester_name="Kim Reyes"), source=form)
    assert [person.name for person in Requester.objects.all()] == ["Kim Reyes"]


def test_a_customers_answer_reopens_the_ticket_and_makes_the_draft_stale(reviewed: Ticket) -> None:
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    intake.add_customer_message(ticket=reviewed, text="It still fails.")
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.resolved_at) == (Status.NEW, None)
    assert reviewed.triage_state == TriageState.SUBMITTED
    assert Draft.objects.get(ticket=reviewed).stale


def test_an_answer_on_a_ticket_in_review_leaves_its_status(reviewed: Ticket) -> None:
    intake.add_customer_message(ticket=reviewed, text="One more thing.")
    reviewed.refresh_from_db()
    assert reviewed.status == Status.IN_REVIEW


def test_a_correlation_id_stays_with_the_ticket(make_ticket: MakeTicket) -> None:
    from triage.correlation import acting

    with acting("visitor", correlation_id="abc-12345"):
        ticket = make_ticket()
    assert ticket.correlation_id == "abc-12345"
    event = ticket.events.get()
    assert (event.actor, event.correlation_id) == ("visitor", "abc-12345")


def test_a_ticket_that_was_edited_is_read_again(make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    Ticket.objects.update(triage_state="triaged")
    intake.revise(ticket=ticket, title="Import fails")
    ticket.refresh_from_db()
    assert (ticket.subject, ticket.triage_state) == ("Import fails", "submitted")
    Ticket.objects.update(triage_state="triaged")
    intake.revise(ticket=ticket, text="It is the import that stops.")
    ticket.refresh_from_db()
    assert ticket.triage_state == "submitted"
    assert [message.text for message in ticket.messages.all()] == [
        "The CSV export stops half way.",
        "It is the import that stops.",
    ]


def test_an_edit_that_changes_nothing_does_nothing(make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    Ticket.objects.update(triage_state="triaged")
    intake.revise(ticket=ticket, title=" Export  fails ", text="The CSV export stops half way.")
    ticket.refresh_from_db()
    assert (ticket.triage_state, ticket.messages.count()) == ("triaged", 1)
    with pytest.raises(Invalid):
        intake.revise(ticket=ticket, title=" \x00 ")
