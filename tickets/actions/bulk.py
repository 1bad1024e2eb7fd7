"""One change to many tickets: begun, worked in portions by whoever holds the claim, stopped, taken back.

A portion is one transaction: its tickets, their history, the rows that say what was before, and the counts.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.core.exceptions import EmptyResultSet
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tickets.actions import learning
from tickets.actions.alterable import ALTERATIONS
from tickets.actions.alterations import MANY, Alteration
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Forbidden, Invalid, Refused
from tickets.actions.promising import reckon_all
from tickets.actions.review import may_decide, require_decider
from tickets.live import announce_many
from tickets.models import BulkRun, BulkTicket, Ticket, leads
from tickets.models.rewriting import rewrite
from tickets.models.ticket import SLA, TicketQuerySet
from tickets.models.work import LEASE
from triage import correlation
from triage.correlation import acting
from triage.models import User
from triage.queue import ring, stopping

log = structlog.get_logger(__name__)
PORTION = 250
AT_ONCE = 50  # tickets that are changed in the request that asks for it
MOST = 100_000
TURN = 2.0  # seconds of work on one run before another has its turn
State, Row = BulkRun.State, BulkTicket.State


class Fenced(Exception):
    """The claim is somebody else's by now, or the run was stopped: what this portion did is undone."""


def start(*, kind: str, given: str, tickets: TicketQuerySet, chosen: str, by: User) -> BulkRun:
    """Line up these tickets for one change. Up to AT_ONCE are changed before this returns.

    `given` is the value as a form sends it. Who may see a ticket is asked when it is changed. Raises Invalid naming the
    field, and Forbidden.
    """
    require_decider(by)
    if kind not in ALTERATIONS:
        raise Invalid("not_a_choice", "Choose what to do with these tickets.", field="do")
    value, words = ALTERATIONS[kind].accepted(given, by)
    with transaction.atomic():
        run = BulkRun.objects.create(
            kind=kind,
            value=value,
            words=words[:300],
            chosen=chosen[:300],
            by=by,
            correlation_id=correlation.current() or str(uuid.uuid4()),
        )
        run.total = _line_up(run, tickets.visible_to(by))
        if not run.total:
            raise Invalid("nothing", "There are no tickets to change: choose some first.", field="ticket")
        if run.total > MOST:
            raise Invalid("too_many", f"These are more than {MOST:,} tickets. Narrow the filters first.")
        run.save(update_fields=["total"])
        if run.total > AT_ONCE:
            ring("batch")
    log.info("bulk_started", run=run.pk, kind=kind, tickets=run.total)
    return _at_once(run)


def undo(*, run: BulkRun, by: User) -> BulkRun:
    """Put back what the run changed and nobody changed since. Few at once, many in the background.

    Raises Conflict where it is not at an end, was undone, or cannot be.
    """
    require_decider(by)
    if run.by_id != by.pk and not leads(by):
        raise Forbidden("not_yours", "Only who did this, and leads, can undo it.")
    with transaction.atomic():
        held = BulkRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if not held.may_be_undone:
            raise Conflict("not_undone", "There is nothing of this left that could be undone.")
        held.state, held.finished_at, held.undone_by, held.not_before = State.UNDOING, None, by, timezone.now()
        held.put_away = held.teaching = False
        held.claim, held.lease_until = held.claim + 1, None  # whoever still teaches it does no more
        held.save()
        if held.changed > AT_ONCE:
            ring("batch")
    return _at_once(held)


def stop(*, run: BulkRun, by: User) -> BulkRun:
    """Change no more of them. What was changed stays, and can be undone."""
    if run.by_id != by.pk and not leads(by):
        raise Forbidden("not_yours", "Only who did this, and leads, can stop it.")
    stopped = BulkRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
        state=State.STOPPED, finished_at=timezone.now(), lease_until=None, teaching=_teaches(run)
    )
    if not stopped:
        raise Conflict("ended", "It is through already.")
    run.refresh_from_db()
    return run


def _teaches(run: BulkRun) -> bool:
    return ALTERATIONS[run.kind].teaches and run.total > MANY


def due() -> QuerySet[BulkRun]:
    return BulkRun.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` runs under a lease, first the one whose last turn is longest ago."""
    now = timezone.now()
    with transaction.atomic():
        waiting = BulkRun.objects.due(now).order_by("not_before", "pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = BulkRun.objects.filter(pk__in=taken)
        mine.update(attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*each) for each in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed, seconds: float = TURN) -> None:
    """Work on a claimed run for its turn, then let it go. Whatever breaks in one ticket is kept with that ticket."""
    until = time.monotonic() + seconds
    while (run := _held(claimed).select_related("by", "undone_by").first()) is not None:
        actor = run.undone_by if run.state == State.UNDOING else run.by
        with acting(f"user:{actor.pk}" if actor else "database", correlation_id=run.correlation_id):
            more = _advance(run, claimed)
        if not more or time.monotonic() > until or stopping():
            break
    _held(claimed).update(lease_until=None, not_before=timezone.now())


def _at_once(run: BulkRun) -> BulkRun:
    """Few are changed here and now; should this process die over it, a worker goes on."""
    if run.goal <= AT_ONCE:
        for claimed in _claim_one(run):
            work(claimed, seconds=60)
    run.refresh_from_db()
    return run


def _claim_one(run: BulkRun) -> list[Claimed]:
    with transaction.atomic():
        due = BulkRun.objects.due(timezone.now()).filter(pk=run.pk)
        held = due.select_for_update(skip_locked=True, of=("self",)).first()
        if held is None:
            return []
        held.claim, held.lease_until = held.claim + 1, timezone.now() + LEASE
        held.save(update_fields=["claim", "lease_until"])
    return [Claimed(held.pk, held.claim)]


def _held(claimed: Claimed) -> Any:
    mine = BulkRun.objects.filter(pk=claimed.pk, claim=claimed.claim)
    return mine.filter(Q(state__in=_WORKING) | Q(teaching=True))


_WORKING = (State.RUNNING, State.UNDOING)


def _line_up(run: BulkRun, tickets: TicketQuerySet) -> int:
    """A row a ticket, in one statement: a filter may show many."""
    numbers = tickets.order_by().values("pk").distinct()[: MOST + 1]
    try:
        query, values = numbers.query.sql_with_params()
    except EmptyResultSet:  # it is known without asking that nothing can match
        return 0
    table = connection.ops.quote_name(BulkTicket._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (run_id, ticket_id, state, before, after, reviews, note) "  # noqa: S608  our own names
            f"SELECT %s, number, 'waiting', '{{}}', '{{}}', '{{}}', '' FROM ({query}) AS chosen (number)",
            [run.pk, *values],
        )
        return int(cursor.rowcount)


def _advance(run: BulkRun, claimed: Claimed) -> bool:
    """The next portion; False when there is none. One that breaks as a whole is done ticket by ticket."""
    if run.teaching:
        return _teach(run, claimed)
    undoing = run.state == State.UNDOING
    waiting = run.rows.filter(state=Row.CHANGED if undoing else Row.WAITING).order_by("ticket_id")
    rows = list(waiting[:PORTION])
    if not rows:
        _end(run, claimed)
        return False
    deed = _undo_portion if undoing else _change_portion
    try:
        with transaction.atomic():
            deed(run, claimed, rows)
    except Fenced:
        return False
    except (OperationalError, InterfaceError):
        raise  # the database's own trouble: the lease runs out, and it is tried again
    except Exception:
        log.exception("bulk_portion_broke", run=run.pk)
        for row in rows:
            _one_by_one(run, claimed, row)
    return True


def _one_by_one(run: BulkRun, claimed: Claimed, row: BulkTicket) -> None:
    undoing = run.state == State.UNDOING
    try:
        with transaction.atomic():
            (_undo_portion if undoing else _change_portion)(run, claimed, [row])
    except Fenced:
        return
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        row.state = Row.KEPT if undoing else Row.REFUSED
        row.note = f"This broke ({type(error).__name__}); the ticket is as it was."
        with transaction.atomic():
            row.save(update_fields=["state", "note"])
            _count(claimed, kept=1) if undoing else _count(claimed, refused=1)


def _lock(numbers: Sequence[int], among: TicketQuerySet) -> dict[int, Ticket]:
    """Locked in the order of their numbers, so that two runs never wait for each other."""
    locked = among.filter(pk__in=numbers).select_for_update(of=("self",)).order_by("number")
    return {one.pk: one for one in locked.select_related("category", "team", "component").defer("embedding", "raw")}


def _change_portion(run: BulkRun, claimed: Claimed, rows: list[BulkTicket]) -> None:
    if not may_decide(run.by):
        BulkRun.objects.filter(pk=run.pk).update(error=f"{run.by.label} may change no tickets any more.")
        stop(run=run, by=run.by)
        return
    numbers = [row.ticket_id for row in rows]
    reach = ALTERATIONS[run.kind].reach()
    tickets = _lock(numbers, reach)
    visible = set(reach.visible_to(run.by).filter(pk__in=numbers).values_list("pk", flat=True))
    alteration = ALTERATIONS[run.kind](run.value, run.by, run.total)
    changed = []
    for row in rows:
        ticket = tickets.get(row.ticket_id)
        if ticket is None or ticket.pk not in visible:
            row.state, row.note = Row.REFUSED, "You do not see this ticket any more."
            continue
        row.before = alteration.held(ticket)
        try:
            row.state = Row.CHANGED if alteration.alter(ticket) else Row.UNCHANGED
        except Refused as why:
            row.state, row.note = Row.REFUSED, why.sentence[:300]
            continue
        row.after = alteration.held(ticket)
        if row.state == Row.CHANGED:
            changed.append(ticket)
    _save(changed, alteration)
    reviews = alteration.settle(changed)
    for row in rows:
        row.reviews = reviews.get(row.ticket_id, [])
    rewrite(rows, ["state", "note", "before", "after", "reviews"])
    _count(
        claimed,
        changed=len(changed),
        unchanged=sum(row.state == Row.UNCHANGED for row in rows),
        refused=sum(row.state == Row.REFUSED for row in rows),
    )


def _undo_portion(run: BulkRun, claimed: Claimed, rows: list[BulkTicket]) -> None:
    """Whoever did it may take it back also where the change gave the ticket to a team that is not theirs."""
    tickets = _lock([row.ticket_id for row in rows], ALTERATIONS[run.kind].reach())
    alteration = ALTERATIONS[run.kind](run.value, run.undone_by or run.by, run.total)
    undone, reviews = [], []
    for row in rows:
        ticket = tickets.get(row.ticket_id)
        if ticket is None or alteration.held(ticket)[alteration.key] != row.after[alteration.key]:
            row.state = Row.KEPT
            row.note = "It was changed since, and is left as it is." if ticket else "This ticket is deleted."
            continue
        try:
            alteration.put_back(ticket, row.before)
        except Refused as why:
            row.state, row.note = Row.KEPT, why.sentence[:300]
            continue
        row.state = Row.UNDONE
        undone.append(ticket)
        reviews += row.reviews
    _save(undone, alteration)
    alteration.unsettle(undone, reviews)
    rewrite(rows, ["state", "note"])
    _count(claimed, undone=len(undone), kept=len(rows) - len(undone))


# What promised times depend on; a decision of any field has them reckoned, as a single one does.
MOVES_CLOCK = {"status", "priority", "team", "snoozed_until", "confidence"}


def _save(tickets: Sequence[Ticket], alteration: Alteration) -> None:
    if tickets and alteration.columns:
        now = timezone.now()
        for ticket in tickets:
            ticket.updated_at = now
        clocked = MOVES_CLOCK & set(alteration.columns)
        if clocked:
            reckon_all(tickets)
        rewrite(tickets, [*alteration.columns, *(SLA if clocked else ()), "updated_at"])
    announce_many(tickets, moved=alteration.moves)


def _count(claimed: Claimed, **counts: int) -> None:
    """Keep the counts, if the claim still holds. Raises Fenced."""
    added: Any = {name: F(name) + number for name, number in counts.items() if number}
    if not _held(claimed).filter(state__in=_WORKING).update(attempts=0, lease_until=timezone.now() + LEASE, **added):
        raise Fenced


def _teach(run: BulkRun, claimed: Claimed) -> bool:
    """The next portion of the decisions that become examples; False when there is none."""
    changed = run.rows.filter(state=Row.CHANGED, ticket__gt=run.taught_to).order_by("ticket_id")
    numbers = list(changed.values_list("ticket_id", flat=True)[:PORTION])
    with transaction.atomic():
        learning.remember_all(list(_lock(numbers, Ticket.objects.all()).values()))
        done = {"taught_to": numbers[-1]} if numbers else {"teaching": False, "lease_until": None}
        if not _held(claimed).filter(teaching=True).update(**done):
            transaction.set_rollback(True)  # it is being undone meanwhile
            return False
    return bool(numbers)


def _end(run: BulkRun, claimed: Claimed) -> None:
    undoing = run.state == State.UNDOING
    with transaction.atomic():
        ended = State.UNDONE if undoing else State.DONE
        teaching = not undoing and _teaches(run)
        held = _held(claimed).filter(state=run.state)
        if not held.update(state=ended, finished_at=timezone.now(), lease_until=None, teaching=teaching):
            return
        if teaching:
            ring("batch")
        if not undoing:
            first = run.rows.filter(state=Row.CHANGED).select_related("ticket__assignee").order_by("ticket_id").first()
            ALTERATIONS[run.kind](run.value, run.by, run.total).finish(first.ticket if first else None, run.changed)
    log.info("bulk_ended", run=run.pk, state=ended)
