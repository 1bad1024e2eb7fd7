"""The door into the desk for many at once: a portion a transaction, each as if it had come alone, and in its order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models.functions import Lower

from tickets.actions.acknowledging import acknowledge
from tickets.actions.errors import Refused
from tickets.actions.intake import (
    Receipt,
    digest_of,
    first_message,
    first_of,
    key_of,
    receive,
    settle_held,
    ticket_of,
)
from tickets.actions.spamming import Held, Why, blocking
from tickets.channels.base import Inbound
from tickets.live import announce_many
from tickets.models import Block, Message, Requester, Source, Ticket
from triage.queue import ring

PORTION = 250  # tickets of one transaction, and of one message to the desks; short, for others wait for its locks


@dataclass(frozen=True, slots=True)
class Entry:
    inbound: Inbound
    source: Source


@dataclass(slots=True)
class _Known:
    """Tickets by idempotency key and by (source, external id): those that are stored, and the new ones of a portion."""

    keyed: dict[str, Ticket] = field(default_factory=dict)
    named: dict[tuple[int, str], Ticket] = field(default_factory=dict)

    def add(self, ticket: Ticket) -> None:
        if ticket.idempotency_key:
            self.keyed.setdefault(ticket.idempotency_key, ticket)
        if ticket.external_id:
            self.named.setdefault((ticket.source_id, ticket.external_id), ticket)


def receive_many(entries: Sequence[Entry], *, sender: Source) -> list[Receipt | Refused]:
    """Store what came in, as `intake.receive` does with each: its receipt, or why it was refused, in the same order."""
    answers: list[Receipt | Refused] = []
    for start in range(0, len(entries), PORTION):
        portion = entries[start : start + PORTION]
        try:
            with transaction.atomic():
                answers += _together(portion, sender)
        except IntegrityError:  # one of them came by another request at the same moment
            answers += [_alone(entry, sender) for entry in portion]
    return answers


def _alone(entry: Entry, sender: Source) -> Receipt | Refused:
    try:
        return receive(entry.inbound, source=entry.source, sender=sender)
    except Refused as refused:
        return refused


def _together(entries: Sequence[Entry], sender: Source) -> list[Receipt | Refused]:
    known, requesters = _known_of(entries, sender), _requesters([entry.inbound for entry in entries])
    blocked = _blocked(requesters.values())
    answers: list[Receipt | Refused] = []
    new: list[tuple[Ticket, Inbound, Held | None]] = []
    for entry in entries:
        inbound, source = entry.inbound, entry.source
        key = key_of(inbound, source, sender)
        digest = digest_of(inbound) if key else ""
        try:
            named = known.named.get((source.pk, inbound.external_id))
            first = first_of(source, digest, keyed=known.keyed.get(key), named=named)
        except Refused as refused:
            answers.append(refused)
            continue
        if first is None:
            requester = requesters.get((inbound.requester_email or "").lower())
            held = blocked.get(requester.pk) if requester else None
            ticket = ticket_of(inbound, source, key, digest, requester, held=held)
            known.add(ticket)
            new.append((ticket, inbound, held))
        answers.append(Receipt(first or ticket, created=first is None))
    _store(new)
    return answers


def _store(new: Sequence[tuple[Ticket, Inbound, Held | None]]) -> None:
    if not new:
        return
    Ticket.objects.bulk_create([ticket for ticket, _, _ in new])
    Message.objects.bulk_create([first_message(ticket, inbound) for ticket, inbound, _ in new])
    for ticket, _, held in new:
        if held:
            settle_held(ticket, held)
        else:
            acknowledge(ticket)
    announce_many([ticket for ticket, _, held in new if not held])
    ring("interactive")


def _blocked(requesters: Iterable[Requester]) -> dict[int, Held]:
    """By customer, of those who are blocked. A program with a key floods nobody: it sends many by its nature."""
    if not Block.objects.in_force().exists():
        return {}
    found = ((requester.pk, blocking(requester)) for requester in requesters)
    return {pk: Held(Why.BLOCKED, block) for pk, block in found if block}


def _known_of(entries: Sequence[Entry], sender: Source) -> _Known:
    """What of these is stored already. Two queries; what was deleted is not stored anew."""
    keys = [key for entry in entries if (key := key_of(entry.inbound, entry.source, sender))]
    names = [entry.inbound.external_id for entry in entries if entry.inbound.external_id]
    tickets = Ticket.everything.select_related("requester", "source").defer("embedding", "raw").order_by()
    known = _Known()
    found = list(tickets.filter(idempotency_key__in=keys)) if keys else []
    if names:
        sources = {entry.source.pk for entry in entries}
        found += tickets.filter(source__in=sources, external_id__in=names)
    for ticket in found:
        known.add(ticket)
    return known


def _requesters(inbounds: Sequence[Inbound]) -> dict[str, Requester]:
    """{address in lower case: the customer}, made when new; a name that was missing is filled in."""
    names: dict[str, tuple[str, str]] = {}
    for inbound in inbounds:
        if inbound.requester_email:
            address = inbound.requester_email.lower()
            spelt, name = names.get(address, (inbound.requester_email, ""))
            names[address] = (spelt, name or inbound.requester_name)
    if not names:
        return {}
    people = Requester.objects.annotate(address=Lower("email")).filter(address__in=list(names))
    known = {requester.email.lower(): requester for requester in people}
    missing = [Requester(email=email, name=name) for address, (email, name) in names.items() if address not in known]
    if missing:
        Requester.objects.bulk_create(sorted(missing, key=_by_address), ignore_conflicts=True)
        known = {requester.email.lower(): requester for requester in people.all()}
    unnamed = [one for address, one in known.items() if not one.name and names[address][1]]
    for requester in unnamed:
        requester.name = names[requester.email.lower()][1]
    Requester.objects.bulk_update(unnamed, ["name"])
    return known


def _by_address(requester: Requester) -> str:
    """One order for all: two calls that make the same people wait for each other, and never both."""
    return requester.email.lower()
