"""Rows of a replay on their way through the readers: handed over in portions, settled when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from tickets.actions.triage import submit_again
from tickets.models import Lane, Replay, ReplayTicket, Suggestion, Ticket, TriageState
from triage import batches
from triage.models import BatchRequest, Call

AHEAD = 500  # rows of one replay before the readers at a time: a cancelled one soon ends
AHEAD_CAREFUL = 50
PORTION = 500
Row = ReplayTicket.State


def hand(rows: Sequence[ReplayTicket], read_with: str, note: str = "") -> None:
    """Submit the tickets of these rows, to be read so. What waits for the machine already is left out."""
    numbers = [row.ticket_id for row in rows]
    read = (TriageState.TRIAGED, TriageState.FAILED)
    idle = Ticket.objects.filter(pk__in=numbers, triage_state__in=read, merged_into=None)
    taken = set(idle.select_for_update(of=("self",)).order_by("number").values_list("pk", flat=True))
    submit_again(tickets=Ticket.objects.filter(pk__in=taken), lane=Lane.IMPORTED, read_with=read_with)
    for row in rows:
        row.state = Row.HANDED if row.ticket_id in taken else Row.SKIPPED
        row.notes, row.lease_until = [note] if note else row.notes, None
        if row.state == Row.SKIPPED:
            row.settled_at, row.notes = timezone.now(), ["It waited to be read anyway."]
    ReplayTicket.objects.bulk_update(rows, ["state", "notes", "settled_at", "lease_until"])
    leave([row for row in rows if row.state == Row.SKIPPED])


def leave(rows: Sequence[ReplayTicket]) -> None:
    """Nobody wants the answers of a batch to these rows any more."""
    batches.use_up(BatchRequest.objects.filter(pk__in=[row.request_id for row in rows if row.request_id]))


def settle(replay: Replay) -> None:
    """Note what became of the rows whose tickets have been read since: how long it took, what it cost."""
    handed = replay.rows.filter(state=Row.HANDED)
    read = handed.filter(ticket__triage_state__in=(TriageState.TRIAGED, TriageState.FAILED))
    while rows := list(read.select_related("ticket").only(*_NEEDED).order_by("pk")[:PORTION]):
        readings = _readings(replay, rows)
        costs = _costs(replay, rows)
        for row in rows:
            failed = row.ticket.triage_state == TriageState.FAILED
            row.state, row.settled_at = Row.FAILED if failed else Row.DONE, timezone.now()
            row.error = row.ticket.error if failed else ""
            row.milliseconds, notes = readings.get(row.ticket_id, (None, []))
            row.notes = [*row.notes, *notes]
            row.calls, row.cost = costs.get(str(row.ticket_id), (0, Decimal(0)))
        changed = ["state", "settled_at", "error", "milliseconds", "notes", "calls", "cost"]
        ReplayTicket.objects.bulk_update(rows, changed)
        leave(rows)


_NEEDED = ("replay_id", "state", "notes", "request_id", "ticket__triage_state", "ticket__error")


def _readings(replay: Replay, rows: Sequence[ReplayTicket]) -> dict[int, tuple[int, list[str]]]:
    numbers = [row.ticket_id for row in rows]
    latest = Suggestion.objects.filter(ticket__in=numbers, created_at__gte=replay.created_at)
    found = latest.order_by("ticket_id", "-pk").distinct("ticket_id")
    return {number: (took, notes) for number, took, notes in found.values_list("ticket_id", "milliseconds", "notes")}


def _costs(replay: Replay, rows: Sequence[ReplayTicket]) -> dict[str, tuple[int, Decimal | None]]:
    """{ticket: (calls, cost)}; the cost is None where that of a call is not known."""
    numbers = [str(row.ticket_id) for row in rows]
    calls = Call.objects.filter(subject_kind="ticket", subject_id__in=numbers, created_at__gte=replay.created_at)
    figures: dict[str, Any] = {"n": Count("pk"), "sum": Sum("cost"), "unknown": Count("pk", filter=Q(cost=None))}
    summed: Any = calls.order_by().values("subject_id").annotate(**figures)
    return {each["subject_id"]: (each["n"], None if each["unknown"] else each["sum"]) for each in summed}
