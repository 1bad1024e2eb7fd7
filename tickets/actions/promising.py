"""The times that are promised to tickets: reckoned, and noted when they come near or pass."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from tickets.actions.notifying import notify
from tickets.colleagues import leads_of, members_of
from tickets.live import announce_many
from tickets.models import Recount, SlaEvent, Ticket
from tickets.models.ticket import TicketQuerySet
from tickets.policies import REMEMBERED, Policies
from tickets.promises import Promise, promised
from tickets.stories import stories_of
from triage.correlation import acting
from triage.models import User
from triage.queue import ring, stopping

PORTION = 200
Kind = SlaEvent.Kind


def reckon(ticket: Ticket) -> None:
    """Reckon the ticket's promised times as it stands, from what happened to it. The caller saves the fields of SLA.

    To be called with the ticket locked, before it is saved. Whoever changes a ticket without it has it done by the
    clock within seconds: the database marks the row.
    """
    _reckon([ticket], timezone.now(), Policies.remembered())


def reckon_all(tickets: Sequence[Ticket]) -> None:
    """The same for many locked tickets at once."""
    _reckon(tickets, timezone.now(), Policies.current())


def note_due(limit: int = PORTION) -> int:
    """Note promised times that came near or passed, once each; reckon anew what was changed without that.

    Returns how many tickets were looked at.
    """
    now = timezone.now()
    with acting("machine:clock"), transaction.atomic():
        due = Ticket.objects.filter(sla_look_at__lte=now).order_by("sla_look_at")
        tickets = list(_locked(due, skip=True)[:limit])
        if tickets:
            _keep(tickets, now)
    return len(tickets)


def recount(limit: int = PORTION) -> bool:
    """Reckon the next portion of all open tickets, where policies or calendars were changed. False: there is none."""
    with acting("machine:clock"), transaction.atomic():
        row = Recount.objects.select_for_update(skip_locked=True).order_by("pk").first()
        if row is None:
            return False
        if row.after == 0:
            if not settings.TESTING:
                time.sleep(3 * REMEMBERED)  # until no process goes by the former ones any more
            # Whatever was changed and committed until now is read after this, and done in the same round.
            others = Recount.objects.select_for_update(skip_locked=True).filter(after=0).exclude(pk=row.pk)
            Recount.objects.filter(pk__in=list(others.values_list("pk", flat=True))).delete()
        left = Ticket.objects.open().filter(pk__gt=row.after).order_by("pk")
        tickets = list(_locked(left, skip=False)[:limit])
        if not tickets:
            row.delete()
            return True
        _keep(tickets, timezone.now())
        row.after = tickets[-1].pk
        row.save(update_fields=["after"])
    return True


def catch_up(seconds: float) -> None:
    """Work off what there is for the clock, in portions, for so long; then ring for the rest."""
    until = time.monotonic() + seconds
    while recount() or note_due() == PORTION:
        if stopping() or time.monotonic() > until:
            ring("batch")
            return


def is_behind() -> bool:
    """Whether there is more to do than a look now and then."""
    return Recount.objects.exists() or Ticket.objects.filter(sla_look_at__lte=timezone.now()).exists()


def _locked(tickets: TicketQuerySet, *, skip: bool) -> TicketQuerySet:
    """With what is needed to reckon and to tell."""
    locked = tickets.select_for_update(of=("self",), skip_locked=skip)
    return locked.select_related("team", "assignee").defer("embedding", "raw")


def _reckon(tickets: Sequence[Ticket], now: datetime, policies: Policies) -> None:
    stories = stories_of(tickets, now)
    for ticket in tickets:
        ticket.promise(promised(stories[ticket.pk], policies.terms_for(ticket), ticket.promises), now)


def _keep(tickets: Sequence[Ticket], now: datetime) -> None:
    """Reckon these locked tickets, note what is due of them, and tell where a promise is another than before."""
    before = {ticket.pk: (ticket.sla.get("promises", {}), ticket.due_at, ticket.sla_look_at) for ticket in tickets}
    _reckon(tickets, now, Policies.current())
    noted = [event for ticket in tickets for event in _note(ticket, now)]
    changed, only_looked_at = [], []
    for ticket in tickets:
        promises, due_at, look_at = before[ticket.pk]
        if (promises, due_at) != (ticket.sla["promises"], ticket.due_at):
            ticket.updated_at = now  # a desk that was away asks for what changed since
            changed.append(ticket)
        elif look_at != ticket.sla_look_at:
            only_looked_at.append(ticket)
    _save([*changed, *only_looked_at])
    announce_many(changed, moved=False)
    for event in noted:
        _tell(event)


_SAVE = """
    UPDATE tickets_ticket SET sla = new.sla::jsonb, due_at = new.due_at, sla_look_at = new.look_at,
        updated_at = new.updated_at
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
        AS new (number, sla, due_at, look_at, updated_at)
    WHERE tickets_ticket.number = new.number
"""


def _save(tickets: Sequence[Ticket]) -> None:
    """The fields of SLA in one statement: for hundreds of rows bulk_update takes four times as long."""
    if tickets:
        rows = [(one.pk, json.dumps(one.sla), one.due_at, one.sla_look_at, one.updated_at) for one in tickets]
        with connection.cursor() as cursor:
            cursor.execute(_SAVE, [list(column) for column in zip(*rows, strict=True)])


def _note(ticket: Ticket, now: datetime) -> list[SlaEvent]:
    """Write down which of the ticket's promises are near or broken, and were not noted so. Returns what is new."""
    promises, made = [], []
    for promise in ticket.promises:
        kind = _to_note(promise, now)
        if kind is not None and promise.due_at is not None:
            event, is_new = SlaEvent.objects.get_or_create(
                ticket=ticket,
                target=promise.target,
                kind=kind,
                began_at=promise.began_at,
                minutes=promise.minutes,
                defaults={"due_at": promise.due_at},
            )
            made += [event] if is_new else []
        breached = promise.breached or kind == Kind.BREACH
        promises.append(replace(promise, breached=breached, warned=promise.warned or kind is not None))
    if promises != ticket.promises:
        ticket.promise(promises, now)
    return made


def _to_note(promise: Promise, now: datetime) -> Kind | None:
    if promise.due_at is None or promise.breached:
        return None
    if promise.due_at < (promise.met_at or now):
        return Kind.BREACH
    near = promise.met_at is None and promise.warn_at is not None and promise.warn_at <= now
    return Kind.WARNING if near and not promise.warned else None


def _tell(event: SlaEvent) -> None:
    """Whoever has the ticket, else its team, else whoever leads."""
    ticket = event.ticket
    to: Iterable[User] = [ticket.assignee] if ticket.assignee else members_of(ticket.team) if ticket.team else []
    kind = "sla_warning" if event.kind == Kind.WARNING else "sla_breach"
    word = "was due" if event.kind == Kind.BREACH else "due"
    text = f"{event.get_target_display()} {word} {timezone.localtime(event.due_at):%-d %b, %H:%M %Z}"
    notify(kind=kind, ticket=ticket, to=list(to) or leads_of(ticket.team), text=text)
