from __future__ import annotations

import zlib

from django.db.models import QuerySet

from tickets.models import Replay, ReplayTicket, Ticket
from triage.queue import ring


def standing() -> QuerySet[Replay]:
    return Replay.objects.filter(kind=Replay.Kind.SHADOW, state=Replay.State.RUNNING)


def follow(ticket: Ticket) -> None:
    """Have the standing shadow read this ticket, too, if it was read for the first time and is of its share.

    Called in the transaction that stores the reading in force, so that none is forgotten and none is read before.
    """
    shadow = standing().first()
    if shadow is None or not _of_share(shadow, ticket) or ticket.suggestions.count() > 1:
        return
    ReplayTicket.objects.bulk_create([ReplayTicket(replay=shadow, ticket=ticket)], ignore_conflicts=True)
    ring("batch")


def _of_share(shadow: Replay, ticket: Ticket) -> bool:
    """Drawn by the ticket's number: the same for whoever asks, and another draw for each shadow."""
    return zlib.crc32(f"{shadow.pk}:{ticket.pk}".encode()) % 100 < shadow.share
