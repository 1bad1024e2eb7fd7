from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import deleting, intake, replies, review
from tickets.actions.errors import Conflict, Forbidden
from tickets.channels.base import Inbound
from tickets.models import Example, Source, Ticket, TriageState
from tickets.models.history import changes_of
from triage.models import User


def test_a_deleted_ticket_is_nowhere_at_the_desk_and_comes_back_whole(
    client: Client, reviewed: Ticket, lead: User, agent: User
) -> None:
    deleting.delete(ticket=reviewed, by=lead)
    client.force_login(agent)
    assert client.get(reviewed.get_absolute_url()).status_code == 404
    assert f'id="ticket-{reviewed.number}"' not in client.get("/tickets/").content.decode()
    assert client.get(reviewed.get_status_url()).status_code == 404
    assert not reviewed.source.tickets.exists()
    deleting.restore(ticket=reviewed, by=lead)
    assert client.get(reviewed.get_absolute_url()).status_code == 200
    assert reviewed.messages.count() == 1
    assert [change.actor_label for change in changes_of(reviewed) if change.field == "deleted_at"] != []


def test_leads_alone_delete(client: Client, reviewed: Ticket, agent: User, lead: User) -> None:
    with pytest.raises(Forbidden):
        deleting.delete(ticket=reviewed, by=agent)
    client.force_login(agent)
    assert 'id="delete"' not in client.get(reviewed.get_absolute_url()).content.decode()
    assert client.post(f"{reviewed.get_absolute_url()}deletion/").status_code == 403
    client.force_login(lead)
    assert 'id="delete"' in client.get(reviewed.get_absolute_url()).content.decode()
    page = client.post(f"{reviewed.get_absolute_url()}deletion/", follow=True)
    assert page.status_code == 410 and "Bring it back" in page.content.decode()
    assert client.post(f"{reviewed.get_absolute_url()}deletion/", {"undo": "1"}, follow=True).status_code == 200


def test_what_was_decided_on_it_teaches_nothing_until_it_is_back(reviewed: Ticket, agent: User, lead: User) -> None:
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    deleting.delete(ticket=reviewed, by=lead)
    assert not Example.objects.exists()
    deleting.restore(ticket=reviewed, by=lead)
    assert Example.objects.get().labels == {"priority": "P2"}


def test_while_a_reply_is_on_its_way_it_can_not_be_deleted(reviewed: Ticket, agent: User, lead: User) -> None:
    replies.approve(ticket=reviewed, text="Done.", version=1, answers=last_seen(reviewed), by=agent)
    with pytest.raises(Conflict, match="on its way"):
        deleting.delete(ticket=reviewed, by=lead)


def test_a_reading_that_the_deletion_broke_off_is_made_again(make_ticket: MakeTicket, lead: User) -> None:
    ticket = make_ticket()
    deleting.delete(ticket=ticket, by=lead)
    assert not Ticket.objects.due_for_triage().exists()
    deleting.restore(ticket=ticket, by=lead)
    assert Ticket.objects.due_for_triage().get() == ticket
    assert Ticket.objects.get().triage_state == TriageState.SUBMITTED


def test_what_was_deleted_is_not_stored_a_second_time(make_ticket: MakeTicket, form: Source, lead: User) -> None:
    ticket = make_ticket(external_id="one")
    deleting.delete(ticket=ticket, by=lead)
    again = intake.receive(Inbound(title="Export fails", text="Once more.", external_id="one"), source=form)
    assert (again.created, again.ticket) == (False, ticket)
