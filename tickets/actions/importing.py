"""Tickets by the thousand: a chunk a transaction, each row once, however often the import is begun again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

from tickets.channels.base import Inbound
from tickets.live import announce
from tickets.models import ImportRun, Message, Requester, Source, Ticket, excerpt_of
from triage import correlation
from triage.queue import ring


@dataclass(frozen=True, slots=True)
class Stored:
    stored: int
    known: int


def begin(*, path: str, digest: str, source_name: str) -> ImportRun:
    """The run of this file into this source: a new one, one that stopped half way, or a finished one from its start."""
    source, _ = Source.objects.get_or_create(name=source_name, defaults={"kind": "file"})
    run, made = ImportRun.objects.get_or_create(source=source, digest=digest, defaults={"path": path[-500:]})
    if not made and run.finished_at is not None:
        run.rows_read = run.stored = run.known = run.refused = 0
        run.finished_at = None
        run.save(update_fields=["rows_read", "stored", "known", "refused", "finished_at"])
    return run


def store_chunk(*, run: ImportRun, inbounds: Sequence[Inbound], rows: int, refused: int) -> Stored:
    """Store what is not known yet of these rows, with its work, and note how far the file is read.

    `rows` is how many rows of the file the chunk covers, `refused` how many of them are not among `inbounds`.
    """
    with transaction.atomic():
        # Two imports into one source take turns; its other doors stay open meanwhile.
        source = Source.objects.select_for_update(no_key=True).get(pk=run.source_id)
        fresh = _unknown(inbounds, source)
        tickets = _store(fresh, source)
        known = len(inbounds) - len(fresh)
        ImportRun.objects.filter(pk=run.pk).update(
            rows_read=F("rows_read") + rows,
            stored=F("stored") + len(fresh),
            known=F("known") + known,
            refused=F("refused") + refused,
        )
        if tickets:
            ring("interactive")
            ring("batch")
            announce(tickets[-1], "created")
    return Stored(len(fresh), known)


def finish(*, run: ImportRun) -> ImportRun:
    run.refresh_from_db()
    run.finished_at = timezone.now()
    run.save(update_fields=["finished_at"])
    return run


def _unknown(inbounds: Iterable[Inbound], source: Source) -> list[Inbound]:
    """The first of each external id that the source does not have."""
    first = {inbound.external_id: inbound for inbound in reversed(list(inbounds))}
    there = Ticket.objects.filter(source=source, external_id__in=list(first)).order_by()
    for external_id in there.values_list("external_id", flat=True):
        del first[external_id]
    return list(reversed(first.values()))


def _store(inbounds: Sequence[Inbound], source: Source) -> list[Ticket]:
    now = timezone.now()
    requesters = _requesters(inbounds)
    tickets = Ticket.objects.bulk_create(
        Ticket(
            subject=inbound.title,
            excerpt=excerpt_of(inbound.text),
            requester=requesters.get((inbound.requester_email or "").lower()),
            source=source,
            external_id=inbound.external_id,
            submitted_priority=inbound.priority or "",
            submitted_tier=inbound.tier,
            raw=inbound.raw,
            lane=inbound.lane,
            correlation_id=correlation.current(),
            created_at=inbound.created_at or now,
        )
        for inbound in inbounds
    )
    Message.objects.bulk_create(
        Message(
            ticket=ticket,
            kind=Message.Kind.INBOUND,
            text=inbound.text,
            requester=ticket.requester,
            created_at=ticket.created_at,
        )
        for ticket, inbound in zip(tickets, inbounds, strict=True)
    )
    return tickets


def _requesters(inbounds: Iterable[Inbound]) -> dict[str, Requester]:
    """{address in lower case: the customer}, made where they are new."""
    named = {inbound.requester_email.lower(): inbound for inbound in inbounds if inbound.requester_email}
    if not named:
        return {}
    people = Requester.objects.annotate(address=Lower("email")).filter(address__in=list(named))
    known = {requester.email.lower() for requester in people}
    Requester.objects.bulk_create(
        [
            Requester(email=inbound.requester_email or "", name=inbound.requester_name)
            for address, inbound in named.items()
            if address not in known
        ],
        ignore_conflicts=True,
    )
    return {requester.email.lower(): requester for requester in people.all()}
