"""The cast: an agent, a colleague of another team, a lead, an auditor and an outsider, and the tickets they work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tickets.actions import intake
from tickets.actions.seeding import plant_taxonomy
from tickets.channels.base import Inbound
from tickets.models import Agent, Draft, Message, Source, Status, Suggestion, Team, Ticket
from triage.models import User

MakeTicket = Callable[..., Ticket]


def _staff(username: str, *, role: str = "agent", teams: tuple[str, ...] = ()) -> User:
    user = User.objects.create_user(username, f"{username}@example.org", "a long password", first_name=username.title())
    agent = Agent.objects.create(user=user, role=role)
    agent.teams.set(Team.objects.filter(key__in=teams))
    return user


@pytest.fixture
def taxonomy(db: None) -> None:
    plant_taxonomy()


@pytest.fixture
def agent(taxonomy: None) -> User:
    return _staff("ada", teams=("software",))


@pytest.fixture
def colleague(taxonomy: None) -> User:
    return _staff("bruno", teams=("billing",))


@pytest.fixture
def lead(taxonomy: None) -> User:
    return _staff("lea", role="lead")


@pytest.fixture
def admin_of_desk(taxonomy: None) -> User:
    """An admin by role: no superuser."""
    return _staff("alma", role="admin")


@pytest.fixture
def auditor(taxonomy: None) -> User:
    return _staff("otto", role="auditor")


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account and no place at the desk."""
    return User.objects.create_user("olga", "olga@example.org", "a long password")


@pytest.fixture
def form(taxonomy: None) -> Source:
    return Source.objects.get(kind="form")


@pytest.fixture
def make_ticket(form: Source) -> MakeTicket:
    """A stored ticket, as it came through the form."""

    def make(title: str = "Export fails", text: str = "The CSV export stops half way.", **given: Any) -> Ticket:
        inbound = Inbound(title=title, text=text, **{"requester_email": "kim@example.com", **given})
        return intake.receive(inbound, source=form).ticket

    return make


@pytest.fixture
def reviewed(make_ticket: MakeTicket) -> Ticket:
    """A ticket of the software team that the machine has read, with a draft."""
    ticket = make_ticket()
    ticket.team = Team.objects.get(key="software")
    ticket.triage_state = "triaged"
    ticket.set_status(Status.IN_REVIEW)
    ticket.provenance = {"team": {"engine": "local", "confidence": 0.9, "band": "suggest", "reason": "Like others."}}
    ticket.save()
    last = ticket.messages.get()
    suggestion = Suggestion.objects.create(
        ticket=ticket, fields={}, confidence=0.9, escalated=False, draft="Thank you for the report.", last_message=last
    )
    Draft.objects.create(ticket=ticket, suggestion=suggestion, text=suggestion.draft, answers=last)
    return ticket


def last_seen(ticket: Ticket) -> int:
    """What a page shows as the customer's last message."""
    message = ticket.messages.filter(kind=Message.Kind.INBOUND).last()
    assert message is not None
    return message.pk
