"""Whatever comes by, what a person set stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.actions import intake, review, triage
from tickets.models import Suggestion, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db(transaction=True)
# No engine would say so of this text.
SET = {
    "category": "documentation",
    "priority": "P4",
    "team": "hr",
    "tier": 3,
    "sentiment": "positive",
    "tags": ["mine"],
}


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


def _read() -> None:
    asyncio.run(tasks.Drain("interactive").run())


@pytest.fixture
def decided(make_ticket: MakeTicket, lead: User) -> Ticket:
    ticket = make_ticket(title="Outage", text="Production is down and nobody can work.", external_id="A-1")
    _read()
    return review.correct(ticket=ticket, changes=SET, by=lead)


def _again(ticket: Ticket) -> None:
    triage.submit_again(tickets=Ticket.objects.filter(pk=ticket.pk))


def _revised(ticket: Ticket) -> None:
    intake.revise(ticket=ticket, title="Outage everywhere", text="Production is down. We sue you.")


def _another_message(ticket: Ticket) -> None:
    intake.add_customer_message(ticket=ticket, text="Still down, and I want my money back.")


def _reprocessed(ticket: Ticket) -> None:
    call_command("reprocess", "--no-wait")


def _failed_and_retried(ticket: Ticket) -> None:
    Ticket.objects.update(triage_state="failed", error="x")
    call_command("reprocess", "--failed", "--no-wait")


@pytest.mark.parametrize(
    "comes_by",
    [_again, _revised, _another_message, _reprocessed, _failed_and_retried],
    ids=lambda way: way.__name__[1:],
)
def test_a_new_reading_leaves_what_a_person_set(comes_by: Callable[[Ticket], None], decided: Ticket) -> None:
    readings = Suggestion.objects.count()
    comes_by(decided)
    _read()
    assert Suggestion.objects.count() == readings + 1
    held = Ticket.objects.get(pk=decided.pk)
    assert {name: held.value_of(name) for name in SET} == SET
    latest = held.latest_suggestion
    assert latest is not None
    assert latest.fields["category"]["value"] != "documentation"


def test_the_same_text_of_another_ticket_leaves_it(decided: Ticket, make_ticket: MakeTicket) -> None:
    make_ticket(title="Outage", text="Production is down and nobody can work.")
    _read()
    held = Ticket.objects.get(pk=decided.pk)
    assert {name: held.value_of(name) for name in SET} == SET


def test_an_import_of_the_same_item_leaves_it(decided: Ticket, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("id,title,text,priority,category,team\nA-1,Outage,Production is down.,P1,bug,software\n")
    call_command("import_tickets", str(rows), "--source", decided.source.name)
    _read()
    held = Ticket.objects.get(pk=decided.pk)
    assert {name: held.value_of(name) for name in SET} == SET


def test_accepting_everything_leaves_what_is_empty_because_a_person_emptied_it(decided: Ticket, lead: User) -> None:
    review.correct(ticket=decided, changes={"component": "", "severity": ""}, by=lead)
    held = review.accept(ticket=decided, fields=["severity"], unsure=["component", "severity", "category"], by=lead)
    assert (held.value_of("component"), held.value_of("severity")) == (None, None)
    assert held.value_of("category") == "documentation"
