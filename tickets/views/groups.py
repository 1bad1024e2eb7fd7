from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from tickets.models import Source, Ticket
from tickets.models.ticket import TicketQuerySet

SHOWN = 10  # of each group; the rest is one click away


@dataclass(frozen=True, slots=True)
class Group:
    """The tickets of one source (a mailbox, a repository, the form): how many, and the newest of them."""

    source: Source
    count: int
    rows: list[Ticket]


def groups_of(here: TicketQuerySet) -> list[Group]:
    """Every source that has tickets here, the fullest first. Three queries."""
    counts = dict(here.order_by().values_list("source").annotate(count=Count("pk")))
    place = Window(RowNumber(), partition_by=F("source"), order_by=[F("created_at").desc(), F("number").desc()])
    newest = here.order_by().annotate(place_in_group=place).filter(place_in_group__lte=SHOWN).values("pk")
    rows: dict[int, list[Ticket]] = {}
    for ticket in Ticket.objects.for_rows().filter(pk__in=newest).newest_first():
        rows.setdefault(ticket.source_id, []).append(ticket)
    sources = {ticket.source_id: ticket.source for found in rows.values() for ticket in found}
    groups = [Group(sources[key], count, rows[key]) for key, count in counts.items() if key in rows]
    return sorted(groups, key=lambda group: (-group.count, group.source.name))
