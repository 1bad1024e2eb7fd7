from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.tickets.conftest import MakeTicket
from tickets.models import NEWEST, ORDERS, Order, Place, Ticket

NOON = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC)


@pytest.mark.parametrize("at", [NOON, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])
def test_a_place_is_read_as_it_was_written_to_the_microsecond(at: datetime) -> None:
    place = NEWEST.place_of(Ticket(created_at=at, number=7))
    assert Place.of(str(place)) == place
    assert NEWEST.columns[0].value(place.parts[0]) == at


@pytest.mark.parametrize("written", ["", "7", "x.7", "1.2.3", "1.x", "9999999999999999999.1", "\u0663.1"])
def test_what_is_no_place_is_none(written: str) -> None:
    assert Place.of(written) is None


@pytest.mark.parametrize("order", ORDERS.values(), ids=[key or "newest" for key in ORDERS])
def test_a_place_parts_the_queue_in_two_that_share_and_lose_nothing(order: Order, make_ticket: MakeTicket) -> None:
    for number in range(8):
        ticket = make_ticket()
        Ticket.objects.filter(pk=ticket.pk).update(
            created_at=NOON + timedelta(hours=number % 2),  # as an import may have them: of one moment
            updated_at=NOON,
            priority=("P2", "P1", "", "P4")[number % 4],
            due_at=None if number % 3 else NOON + timedelta(hours=number),
            status="escalated" if number == 3 else "new",
        )
    numbers = [ticket.number for ticket in Ticket.objects.in_order(order)]
    assert len(set(numbers)) == 8
    places = [order.place_of(ticket) for ticket in Ticket.objects.in_order(order)]
    assert places == sorted(places, key=lambda place: place.parts, reverse=True), "scripts compare them so"
    for at, place in enumerate(places):
        assert [one.number for one in Ticket.objects.down_to(place, order).in_order(order)] == numbers[: at + 1]
        assert [one.number for one in Ticket.objects.below(place, order).in_order(order)] == numbers[at + 1 :]


def test_each_order_puts_first_what_it_says(make_ticket: MakeTicket) -> None:
    old, new = make_ticket(title="old", created_at=NOON), make_ticket(title="new")
    Ticket.objects.filter(pk=old.pk).update(priority="P1", due_at=NOON, status="escalated")
    first = {key: Ticket.objects.in_order(order)[0] for key, order in ORDERS.items()}
    assert first == {"": new, "oldest": old, "updated": new, "priority": old, "due": old, "status": old}
