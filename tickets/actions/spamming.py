"""Spam: held out of the desk, where nothing reads it, learns from it, answers, counts or tells of it; and let in again.

docs/decisions/0026-spam-is-out-of-the-desk.md says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tickets.actions.blocking import block as block_sender
from tickets.actions.blocking import lift, sender_or_domain
from tickets.actions.errors import Conflict
from tickets.actions.learning import remember
from tickets.actions.notifying import notify
from tickets.actions.review import require_decider
from tickets.colleagues import leads_of
from tickets.live import announce
from tickets.models import (
    Acknowledgement,
    Block,
    Delivery,
    Event,
    Example,
    Requester,
    Rule,
    RuleCause,
    Source,
    SpamMark,
    Ticket,
    TriageState,
    WebhookCall,
)
from tickets.models.ticket import SUBMISSION
from triage.models import User
from triage.queue import ring

log = structlog.get_logger(__name__)
Why = SpamMark.Why
COLUMNS = ("spam", "deleted_at", "provenance", *SUBMISSION)
PUBLIC_DOORS = ("form", "email")  # where anybody may send; a program with a key may well send many


@dataclass(frozen=True, slots=True)
class Held:
    """Why what comes in now is not let in."""

    why: SpamMark.Why
    block: Block | None = None


def mark(*, ticket: Ticket, by: User, block: str = "") -> Ticket:
    """Hold a ticket as spam, and block its `sender` or whole `domain` where asked.

    Raises Conflict while a reply is on its way or other tickets are merged into it, and what blocking raises.
    """
    require_decider(by)
    with transaction.atomic():
        held = Ticket.everything.select_for_update(of=("self",)).get(pk=ticket.pk)
        blocked = block_sender(what=sender_or_domain(held.requester, block), by=by, ticket=held) if block else None
        if held.deleted_at is None:
            refuse(held)
            put_aside(held)
            held.save(update_fields=COLUMNS)
            settle([held], why=Why.PERSON, by=by, block=blocked)
            announce(held, "routed")
    return held


def unmark(*, ticket: Ticket, by: User, unblock: bool = False) -> Ticket:
    """Let a held ticket in, as it was; what was never read is read now, and no rule holds it again.

    With `unblock` its sender is let in from now on.
    """
    require_decider(by)
    with transaction.atomic():
        held = Ticket.everything.select_for_update(of=("self",)).get(pk=ticket.pk)
        if unblock and held.requester:
            for one in Block.objects.about(held.requester.email):
                lift(block=one, by=by)
        if held.spam:
            let_in(held)
            held.save(update_fields=COLUMNS)
            settle_in([held])
            announce(held, "routed")
    return held


def hold(*, ticket: Ticket, held: Held) -> None:
    """Hold a locked ticket for another reason than that a person said so."""
    put_aside(ticket)
    ticket.save(update_fields=COLUMNS)
    settle([ticket], why=held.why, block=held.block)
    announce(ticket, "routed")


def hold_by_rule(ticket: Ticket) -> None:
    """Hold a locked ticket that a rule says is spam. Raises Conflict where it cannot be taken out of the desk now."""
    refuse(ticket)
    hold(ticket=ticket, held=Held(Why.RULE))


def refuse(ticket: Ticket) -> None:
    """Raise Conflict where this ticket cannot be taken out of the desk now."""
    if ticket.deliveries.filter(state__in=(Delivery.State.QUEUED, Delivery.State.SENDING)).exists():
        raise Conflict("being_sent", "A reply is on its way. Take it back, or mark the ticket once it is sent.")
    if Ticket.everything.filter(merged_into=ticket.pk).exists():
        raise Conflict("has_parts", "Other tickets are merged into this one. Bring them back first.")


def put_aside(ticket: Ticket) -> None:
    """In memory. The caller saves COLUMNS, then calls settle()."""
    ticket.spam, ticket.deleted_at, ticket.updated_at = True, timezone.now(), timezone.now()
    ticket.provenance.pop("spam", None)


def let_in(ticket: Ticket) -> None:
    """In memory. The caller saves COLUMNS, then calls settle_in()."""
    ticket.spam, ticket.deleted_at, ticket.updated_at = False, None, timezone.now()
    ticket.provenance["spam"] = {"engine": "person"}
    if ticket.triage_state == TriageState.PROCESSING:
        ticket.submit()


def settle(tickets: list[Ticket], *, why: SpamMark.Why, by: User | None = None, block: Block | None = None) -> None:
    """The rest of holding them: what they taught is forgotten, and no receipt or webhook tells of them."""
    marks = [SpamMark(ticket=ticket, why=why, by=by, block=block) for ticket in tickets]
    SpamMark.objects.bulk_create(marks, ignore_conflicts=True)
    Example.objects.filter(ticket__in=tickets).delete()
    Acknowledgement.objects.filter(ticket__in=tickets, state=Acknowledgement.State.QUEUED, attempts=0).delete()
    WebhookCall.objects.hold_as_spam(tickets)


def settle_in(tickets: list[Ticket]) -> None:
    """The rest of letting them in: they teach, are read, and are told of; rules for what came in have their turn."""
    SpamMark.objects.filter(ticket__in=tickets).delete()
    WebhookCall.objects.let_in(tickets)
    for ticket in tickets:
        remember(ticket)
    new = [ticket.pk for ticket in tickets if ticket.triaged_at is None]
    if new and Rule.objects.in_force(Rule.When.CREATED).exists():
        first = Event.objects.filter(pgh_obj_id__in=new, pgh_label="created").values_list("pgh_obj_id", "pgh_id")
        causes = [RuleCause(ticket_id=number, kind=Rule.When.CREATED, of=event) for number, event in first]
        RuleCause.objects.bulk_create(causes, ignore_conflicts=True)
    ring("interactive")


def judged(requester: Requester | None, source: Source, at: datetime) -> Held | None:
    """Whether what this sender wrote at that moment is held: they are blocked, or it is one too many. Two queries."""
    if requester is None:
        return None
    if blocked := blocking(requester):
        return Held(Why.BLOCKED, blocked)
    if source.kind in PUBLIC_DOORS and settings.FLOOD_TICKETS and _floods(requester, at):
        return Held(Why.FLOOD)
    return None


def blocking(requester: Requester) -> Block | None:
    """What this sender falls under."""
    return Block.objects.about(requester.email).first()


def tell_of_flood(requester: Requester) -> None:
    """Leads are told once a day of one sender, at the last ticket of theirs that was let in."""
    since = timezone.now() - timedelta(days=1)
    told = SpamMark.objects.filter(ticket__requester=requester, why=Why.FLOOD, at__gt=since).count() > 1
    last = Ticket.objects.filter(requester=requester).order_by("-created_at").first()
    if told or last is None:
        return
    text = f"More than {settings.FLOOD_TICKETS} tickets within {settings.FLOOD_MINUTES} minutes."
    log.warning("flood_held", requester=requester.pk, ticket=last.pk)
    notify(kind="flood", ticket=last, to=leads_of(last.team), text=text)


def _floods(requester: Requester, at: datetime) -> bool:
    """What is held counts, too: who goes on is held on. Colleagues may send as many as they like."""
    since = at - timedelta(minutes=settings.FLOOD_MINUTES)
    theirs = Ticket.everything.filter(requester=requester, created_at__gt=since, created_at__lte=at).order_by()
    if len(theirs.values_list("pk", flat=True)[: settings.FLOOD_TICKETS]) < settings.FLOOD_TICKETS:
        return False
    return not User.objects.filter(email__iexact=requester.email, is_active=True, agent__isnull=False).exists()
