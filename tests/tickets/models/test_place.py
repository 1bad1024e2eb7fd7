from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.tickets.conftest import MakeTicket
from tickets.models import Place, Ticket

NOON = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC)


@pytest.mark.parametrize("at", [NOON, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])
def test_a_place_is_read_as_it_was_written_to_the_microsecond(at: datetime) -> None:
    assert Place.of(str(Place(at, 7))) == Place(at, 7)


@pytest.mark.parametrize("written", ["", "7", "x.7", "1.2.3", "1.x", "99999999999999999.1", "\u0663.1"])
def test_what_is_no_place_is_none(written: str) -> None:
    assert Place.of(written) is None


def test_a_place_parts_the_queue_in_two_that_share_and_lose_nothing(make_ticket: MakeTicket) -> None:
    for _ in range(5):
        make_ticket()
    Ticket.objects.update(created_at=NOON)  # as an import may have them: of one moment
    numbers = [ticket.number for ticket in Ticket.objects.newest_first()]
    assert numbers == sorted(numbers, reverse=True)
    for at, ticket in enumerate(Ticket.objects.newest_first()):
        assert [one.number for one in Ticket.objects.down_to(ticket.place).newest_first()] == numbers[: at + 1]
        assert [one.number for one in Ticket.objects.below(ticket.place).newest_first()] == numbers[at + 1 :]
