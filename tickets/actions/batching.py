"""A replay through message batches: its rows ask, batches are made of what they ask, answers go to the readers."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from tickets.actions.drafts import last_inbound
from tickets.actions.handing import AHEAD, hand, leave
from tickets.models import Replay, ReplayTicket, Ticket
from tickets.models.choices import ReadWith
from triage import batches
from triage.models import BatchRequest, MessageBatch
from triage.pipeline.types import NoAnswer, Question

Row, Asked = ReplayTicket.State, BatchRequest.State


def ask(row: ReplayTicket, ticket: Ticket, question: Question) -> None:
    """Keep the question for a batch; the row waits for its answer. In the caller's transaction."""
    row.request = batches.keep(question, owner=row.replay.owner)
    row.last_message = last_inbound(ticket)
    row.state, row.lease_until = Row.ASKED, None
    row.save(update_fields=["request", "last_message", "state", "lease_until"])


def advance_batch(replay: Replay) -> None:
    """Make batches of what was asked; give answers, and tickets that got none, to the readers."""
    if not replay.rows.filter(state__in=(Row.WAITING, Row.READING)).exists() or _loose(replay) >= batches.LARGEST:
        _assemble(replay)
    room = AHEAD - replay.rows.filter(state=Row.HANDED).count()
    if room <= 0:
        return
    asked = replay.rows.filter(state=Row.ASKED).select_related("request__batch", "ticket", "replay")
    back = asked.exclude(request__state=Asked.WAITING).defer("ticket__embedding", "ticket__raw")
    _give_back(list(back.order_by("pk")[:room]))


def _loose(replay: Replay) -> int:
    return BatchRequest.objects.filter(owner=replay.owner, batch=None, state=Asked.WAITING).count()


def _assemble(replay: Replay) -> None:
    """As many batches as are wanted and the budget bears; of the rest, what was said at the start."""
    try:
        while batches.assemble(owner=replay.owner):
            pass
    except NoAnswer as problem:
        words = f"{str(problem)[:1].upper()}{str(problem)[1:]}."
        if replay.leave_when_spent:
            replay.note = f"{words} The rest waits."
            replay.save(update_fields=["note"])
            return
        rest = list(replay.rows.filter(state=Row.ASKED, request__batch=None, request__state=Asked.WAITING))
        leave(rest)
        hand(rest, ReadWith.LOCAL, note=f"{words} Read by the local engine.")
    else:
        if replay.note:
            replay.note = ""
            replay.save(update_fields=["note"])


def _give_back(rows: list[ReplayTicket]) -> None:
    answered: list[ReplayTicket] = []
    unanswered: list[ReplayTicket] = []
    changed: list[ReplayTicket] = []
    for row in rows:
        request: Any = row.request
        if row.last_message != last_inbound(row.ticket):
            changed.append(_settled(row, Row.SKIPPED, "The customer has written since, and that was read."))
        elif request is None or (request.batch and request.batch.state == MessageBatch.State.FAILED):
            why = request.error if request else "Its request is gone."
            changed.append(_settled(row, Row.FAILED, why))
        else:
            (answered if request.state == Asked.ANSWERED else unanswered).append(row)
    ReplayTicket.objects.bulk_update(changed, ["state", "settled_at", "error", "notes"])
    leave(changed)
    hand(answered, ReadWith.ANSWER)
    for row in unanswered:
        why = row.request.error if row.request else ""
        hand([row], ReadWith.LOCAL, note=f"{why} Read by the local engine.".strip())


def _settled(row: ReplayTicket, state: ReplayTicket.State, why: str) -> ReplayTicket:
    row.state, row.settled_at = state, timezone.now()
    if state == Row.FAILED:
        row.error = why
    else:
        row.notes = [why]
    return row
