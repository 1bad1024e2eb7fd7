"""Tickets that leave the desk as a file: who took which of them is kept."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from tickets.actions.errors import Invalid
from tickets.exports import WRITERS
from tickets.models import SecurityEvent, Ticket
from triage import correlation


def export(*, tickets: QuerySet[Ticket], written_as: str, chosen: str) -> Iterator[bytes]:
    """Write these tickets as a file, piece by piece. `chosen` says in words which they are, for the security log.

    Raises Invalid (field `format`). It is noted before the first piece is written: what was taken half is taken.
    """
    if written_as not in WRITERS:
        raise Invalid("not_a_choice", f"Choose one of {', '.join(WRITERS)}.", field="format")
    word, _, _, write = WRITERS[written_as]
    SecurityEvent.objects.create(
        noun="export",
        verb="added",
        after={"tickets": tickets.order_by().count(), "format": word, "chosen": chosen[:300]},
        actor=correlation.actor(),
        correlation_id=correlation.current(),
    )
    return write(tickets)
