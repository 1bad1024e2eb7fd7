from __future__ import annotations

import pytest

from tests.tickets.conftest import MakeTicket
from tickets import variables
from tickets.actions.errors import Invalid
from tickets.models import Requester, Team, Ticket
from triage.models import User


@pytest.fixture
def ticket(make_ticket: MakeTicket) -> Ticket:
    ticket = make_ticket(title="Export fails", requester_name="Kim Sample")
    ticket.team = Team.objects.get(key="software")
    ticket.save()
    return ticket


def test_every_variable_is_filled_from_the_ticket_and_the_person(ticket: Ticket, agent: User) -> None:
    for name in variables.VARIABLES:
        variables.check(f"{{{{{name}}}}}")
    read = variables.filled(
        "{{requester.name}}|{{requester.first_name}}|{{requester.email}}|{{ticket.number}}|{{ticket.subject}}|"
        "{{ agent.name }}|{{team.name}}|{{source.name}}",
        ticket,
        agent,
    )
    assert read == f"Kim Sample|Kim|kim@example.com|{ticket.number}|Export fails|Ada|{ticket.team}|{ticket.source.name}"
    assert variables.filled("{{status_url}}", ticket, agent).endswith(ticket.get_status_url())


@pytest.mark.parametrize("text", ["{{requester.nmae}}", "{{}}", "{{requester.password}}", "{{ticket.__class__}}"])
def test_an_unknown_variable_is_named_when_it_is_saved(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        variables.check(text)
    assert refused.value.field == "text"
    assert "requester.name" in refused.value.sentence


@pytest.mark.parametrize("text", ["Hello {{requester.name", "Hello requester.name}}", "{{ {requester.name} }}"])
def test_a_variable_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        variables.check(text)
    assert refused.value.code == "not_closed"


def test_what_is_missing_has_its_fallback_or_leaves_no_gap(ticket: Ticket, agent: User) -> None:
    Requester.objects.update(name="")
    ticket = Ticket.objects.get(pk=ticket.pk)
    assert variables.filled("Hello {{requester.first_name|there}},", ticket, agent) == "Hello there,"
    assert variables.filled("Hello {{requester.first_name}},\nFine .", ticket, agent) == "Hello,\nFine ."


def test_what_a_customer_is_called_is_never_an_instruction(ticket: Ticket, agent: User) -> None:
    Requester.objects.update(name="{{agent.name}} {% debug %}\n\u202eevil")
    ticket = Ticket.objects.get(pk=ticket.pk)
    assert variables.filled("Dear {{requester.name}}", ticket, agent) == "Dear {{agent.name}} {% debug %} evil"
