from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.tickets.conftest import MakeTicket
from tickets.models import Ticket, TicketVector

ONE, OTHER = [1.0] + [0.0] * 383, [0.0, 1.0] + [0.0] * 382


def test_the_vector_that_is_searched_is_the_tickets_whoever_writes_it(make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    assert not TicketVector.objects.exists()
    ticket.embedding = ONE
    ticket.save()
    assert _values(TicketVector.objects.get().embedding) == ONE
    Ticket.objects.update(embedding=OTHER)
    assert _values(TicketVector.objects.get().embedding) == OTHER
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_ticket SET embedding = NULL")
    assert not TicketVector.objects.exists()


@pytest.mark.usefixtures("exact_search")
def test_the_nearest_are_found_by_it_and_what_has_none_is_not(make_ticket: MakeTicket) -> None:
    near, far, none = make_ticket(), make_ticket(), make_ticket()
    Ticket.objects.filter(pk=near.pk).update(embedding=ONE)
    Ticket.objects.filter(pk=far.pk).update(embedding=OTHER)
    found = list(Ticket.objects.nearest(ONE))
    assert [(ticket.pk, round(ticket.distance, 3)) for ticket in found] == [(near.pk, 0.0), (far.pk, 1.0)]
    assert none not in found


def test_a_change_of_something_else_does_not_touch_it(make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    Ticket.objects.filter(pk=ticket.pk).update(embedding=ONE)

    def version() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ctid::text FROM tickets_ticketvector")
            return str(cursor.fetchone()[0])

    before = version()
    Ticket.objects.update(priority="P1", status="in_review", embedding=ONE)
    assert version() == before


def _values(vector: Any) -> list[float]:
    """A vector comes as a list, or as pgvector's own type."""
    found: list[float] = vector.to_list() if hasattr(vector, "to_list") else list(vector)
    return found
