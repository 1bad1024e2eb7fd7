"""Tickets by the thousand: a chunk a transaction, each row once, however often the import is begun again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

from tickets.actions.errors import Conflict
from tickets.channels.base import Inbound
from tickets.channels.file.rows import ImportFile, Past, Row, Spoken, UnreadableFile
from tickets.live import announce
from tickets.models import (
    ENDED,
    ImportRefusal,
    ImportRun,
    Message,
    Requester,
    SecurityEvent,
    Source,
    Ticket,
    excerpt_of,
)
from tickets.words import counted
from triage import correlation
from triage.queue import ring

CHUNK_ROWS = 500
CHUNK_CHARACTERS = 4_000_000
HELD = timedelta(seconds=60)  # a command that says nothing for so long is taken for dead
SHOWN = 100_000  # characters of a refused row that are kept
COUNTED_BY = ("kind", "encoding", "delimiter", "has_header")  # parts of a layout that say which row is which
State, Kind = ImportRun.State, Message.Kind


@dataclass(frozen=True, slots=True)
class Stored:
    stored: int
    known: int


def begin(*, file: ImportFile, source_name: str) -> ImportRun:
    """Take up the run of this file into this source: a new one, or one that was not finished, wherever it stopped.

    Whoever else is at it, perhaps long dead, stores nothing more. Raises Conflict where rows of it were counted in
    another way than they would be now: those that are left could not be told.
    """
    with transaction.atomic():
        source, _ = Source.objects.get_or_create(name=source_name, defaults={"kind": "file"})
        Source.objects.select_for_update(no_key=True).get(pk=source.pk)
        run = ImportRun.objects.unfinished().filter(source=source, digest=file.digest).first()
        if run is None:
            run = ImportRun(source=source, source_name=source.name, digest=file.digest)
            note(run, file.path.name)
        elif run.rows_read and any(run.layout.get(part) != getattr(file.layout, part) for part in COUNTED_BY):
            raise Conflict(
                "read_otherwise",
                f"{counted(run.rows_read, 'row')} of this file {'was' if run.rows_read == 1 else 'were'} read with "
                "another header, delimiter or encoding. "
                "Go on with the same options, or import it under another --source.",
            )
        run.path, run.size, run.layout = str(file.path.resolve())[-500:], file.size, file.layout.to_json()
        run.state, run.finished_at, run.lease_until, run.error = State.RUNNING, None, timezone.now() + HELD, ""
        run.claim += 1
        run.save()
    return run


def note(run: ImportRun, name: str) -> None:
    """Have the security log tell who began to import what."""
    SecurityEvent.objects.create(
        noun="import",
        verb="added",
        after={"file": name[:200], "source": run.source.name if run.source else run.source_name},
        actor=correlation.actor(),
        correlation_id=correlation.current(),
    )


def chunks(file: ImportFile, *, after: int) -> Iterator[tuple[list[Row], int]]:
    """The rows that follow, so many at a time as are stored together, with how far the file is read by then."""
    chunk: list[Row] = []
    weight = position = 0
    try:
        for row, position in file.rows(after=after):
            chunk.append(row)
            weight += row.weight
            if len(chunk) >= CHUNK_ROWS or weight >= CHUNK_CHARACTERS:
                yield chunk, position
                chunk, weight = [], 0
    except UnreadableFile:
        if chunk:
            yield chunk, position
        raise
    if chunk:
        yield chunk, position


def store_chunk(*, run: ImportRun, rows: Sequence[Row], position: int, lease: timedelta = HELD) -> Stored:
    """Store what is not known yet of these rows, with its work, what was refused, and how far the file is read.

    Raises Conflict where the run was stopped meanwhile, or somebody else has it.
    """
    accepted = [(row.inbound, row.past) for row in rows if row.inbound is not None]
    refused = [row for row in rows if row.inbound is None]
    with transaction.atomic():
        # Two imports into one source take turns; its other doors stay open meanwhile.
        source = Source.objects.select_for_update(no_key=True).get(imports=run)
        fresh = _unknown(accepted, source)
        tickets = _store(fresh, source)
        ImportRefusal.objects.bulk_create(_refusals(run, refused), ignore_conflicts=True)
        held = ImportRun.objects.filter(pk=run.pk, claim=run.claim, state=State.RUNNING)
        kept = held.update(
            rows_read=F("rows_read") + len(rows),
            stored=F("stored") + len(fresh),
            known=F("known") + len(accepted) - len(fresh),
            refused=F("refused") + len(refused),
            comments=F("comments") + sum(len(past.thread) for _, past in fresh),
            position=position,
            attempts=0,
            lease_until=timezone.now() + lease,
        )
        if not kept:
            raise Conflict("not_held", "This import was stopped, or goes on elsewhere.")
        if tickets:
            ring("interactive")
            ring("batch")
            announce(tickets[-1], "created")
    return Stored(len(fresh), len(accepted) - len(fresh))


def finish(*, run: ImportRun, state: ImportRun.State = State.DONE, error: str = "") -> ImportRun:
    """End a run that is held. One that was stopped, or is held elsewhere, is left as it is."""
    held = ImportRun.objects.filter(pk=run.pk, claim=run.claim, state=State.RUNNING)
    ended = {"state": state, "finished_at": timezone.now(), "lease_until": None, "error": error}
    held.update(**ended, **({"position": F("size")} if state == State.DONE else {}))
    run.refresh_from_db()
    return run


def known_among(rows: Iterable[Row], source: Source | None) -> int:
    """How many of these rows a source has already, or has twice."""
    accepted = [(row.inbound, row.past) for row in rows if row.inbound is not None]
    return len(accepted) - len(_unknown(accepted, source))


def _refusals(run: ImportRun, rows: Iterable[Row]) -> list[ImportRefusal]:
    return [
        ImportRefusal(
            run=run,
            number=row.number,
            reason=_storable(row.refused)[:2_000],
            content=_storable(json.dumps(row.content, default=str, ensure_ascii=False))[:SHOWN],
        )
        for row in rows
    ]


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _unknown(rows: Iterable[tuple[Inbound, Past]], source: Source | None) -> list[tuple[Inbound, Past]]:
    """The first of each external id that the source does not have."""
    first = {inbound.external_id: (inbound, past) for inbound, past in reversed(list(rows))}
    # What was deleted here is not brought again.
    there = Ticket.everything.filter(source=source, external_id__in=list(first)).order_by()
    for external_id in there.values_list("external_id", flat=True) if source else ():
        del first[external_id]
    return list(reversed(first.values()))


def _store(rows: Sequence[tuple[Inbound, Past]], source: Source) -> list[Ticket]:
    requesters = _requesters(inbound for inbound, _ in rows)
    made = [
        _ticket(inbound, past, source, requesters.get((inbound.requester_email or "").lower()))
        for inbound, past in rows
    ]
    tickets = Ticket.objects.bulk_create(made)
    Message.objects.bulk_create(
        message
        for ticket, (inbound, past) in zip(tickets, rows, strict=True)
        for message in _thread(ticket, inbound, past)
    )
    return tickets


def _ticket(inbound: Inbound, past: Past, source: Source, requester: Requester | None) -> Ticket:
    created_at = inbound.created_at or timezone.now()
    ticket = Ticket(
        subject=inbound.title,
        excerpt=excerpt_of(inbound.text),
        requester=requester,
        source=source,
        external_id=inbound.external_id,
        submitted_priority=inbound.priority or "",
        submitted_tier=inbound.tier,
        raw=inbound.raw,
        lane=inbound.lane,
        correlation_id=correlation.current(),
        created_at=created_at,
        first_replied_at=next((one.at for one in past.thread if one.kind == Kind.OUTBOUND), None),
    )
    if past.status in ENDED:
        # What was over before it came is no work for anybody; the machine still reads it, to know its like.
        ticket.resolved_at = past.ended_at or max([created_at, *(one.at for one in past.thread)])
    ticket.set_status(past.status)
    if past.tags:
        ticket.tags = list(past.tags)
        reason = "It came with the import."
        ticket.provenance["tags"] = {"engine": "person", "confidence": 1.0, "band": "apply", "reason": reason}
    return ticket


def _thread(ticket: Ticket, inbound: Inbound, past: Past) -> Iterator[Message]:
    first = {"text": inbound.text, "requester": ticket.requester, "created_at": ticket.created_at}
    unknown = "" if ticket.requester else inbound.requester_name[:100]  # exports without addresses name their customers
    yield Message(ticket=ticket, kind=Kind.INBOUND, author_name=unknown, **first)
    seen: set[str] = set()
    own = ("", inbound.requester_name, inbound.requester_email)
    for one in past.thread:
        customers = one.kind == Kind.INBOUND and one.author in own
        yield Message(
            ticket=ticket,
            kind=one.kind,
            text=one.text,
            requester=ticket.requester if customers else None,
            author_name="" if customers and ticket.requester else _author(one),
            external_id=f"import-{one.key}" if one.key and one.key not in seen else "",
            created_at=one.at,
        )
        seen.add(one.key)


def _author(one: Spoken) -> str:
    """Who wrote it, as far as the export said so."""
    if one.author or one.kind in (Kind.INBOUND, Kind.SYSTEM):
        return one.author
    return "A colleague there"


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
