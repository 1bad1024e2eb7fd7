"""What people decided becomes examples: to be retrieved at once, to fit on, or to measure fits by."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone

from tickets.context import taxonomy, usable_labels
from tickets.models import Example, Message, Review, Ticket
from triage.embedding import TURN, embed
from triage.learning import fit
from triage.learning.gate import AT_MOST, Unseen, is_held_out
from triage.pipeline.types import FIELDS

UNDECIDED = 1_000  # tickets; enough to tell how often which confidence comes in


def labels_of(ticket: Ticket) -> dict[str, Any]:
    """{field: value} of what people decided about the ticket."""
    return {
        name: ticket.value_of(name)
        for name, how in ticket.provenance.items()
        if how.get("engine") == "person" and name in FIELDS
    }


def remember(ticket: Ticket) -> Example | None:
    """Make the ticket an example of what people decided about it, at once. Without a person's label it is none."""
    labels = labels_of(ticket)
    if not labels:
        return None
    known = {"text": _text(ticket), "labels": labels, "embedding": ticket.embedding}
    # What a fit may have seen already is never held out afterwards.
    fresh = {**known, "held_out": is_held_out(ticket.number)}
    example, _ = Example.objects.update_or_create(ticket=ticket, defaults=known, create_defaults=fresh)
    return example


def remember_all(tickets: Sequence[Ticket]) -> None:
    """As `remember`, for many in one statement; their embeddings do not leave the database."""
    decided = [ticket for ticket in tickets if labels_of(ticket)]
    if not decided:
        return
    prefetch_related_objects(decided, Prefetch("messages", Message.objects.filter(kind=Message.Kind.INBOUND)))
    told = [
        {"number": one.pk, "text": _text(one), "labels": labels_of(one), "held_out": is_held_out(one.number)}
        for one in decided
    ]
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBERED, [json.dumps(told)])


# Of one that is an example already the embedding is that of its last reading; left alone, its index is not touched.
_REMEMBERED = """
    INSERT INTO tickets_example (ticket_id, text, labels, held_out, embedding, updated_at)
    SELECT t.number, told.text, told.labels, told.held_out, t.embedding, now()
    FROM jsonb_to_recordset(%s::jsonb) AS told(number bigint, text text, labels jsonb, held_out boolean)
    JOIN tickets_ticket t ON t.number = told.number
    ON CONFLICT (ticket_id) DO UPDATE
    SET text = EXCLUDED.text, labels = EXCLUDED.labels, updated_at = EXCLUDED.updated_at
"""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people decided here: to fit on, and, apart, to measure by. `read_at` is when it was looked up.

    `undecided`: the newest tickets that nobody decided anything about, without labels.
    """

    fitting: list[fit.Example]
    unseen: list[Unseen]
    undecided: list[fit.Example]
    read_at: datetime


def decisions() -> Decisions:
    """Every example with labels that can still be given, the newest held-out ones as far as they are measured by."""
    now = timezone.now()
    labels, _ = taxonomy()
    rows = Example.objects.select_related("ticket__source")
    fitting = [
        fit.Example(row.text, _vector(row), usable, decided=True, source=row.ticket.source.name)
        for row in rows.filter(held_out=False).order_by("pk").iterator(chunk_size=500)
        if (usable := usable_labels(row.labels, labels))
    ]
    accepted = _accepted()
    unseen = [
        Unseen(row.text, _vector(row), usable, row.ticket.source.name, accepted.get(row.ticket_id, frozenset()))
        for row in rows.filter(held_out=True).order_by("-updated_at")[:AT_MOST]
        if (usable := usable_labels(row.labels, labels))
    ]
    return Decisions(fitting, unseen, _undecided(len(fitting)), now)


def _undecided(fitted_on: int) -> list[fit.Example]:
    """The newest; each stands for so many that there are as many of both kinds, decided and not, as came in with them.

    `fitted_on`: how many decided ones there are beside them, of the whole life of the desk. Without this weight the
    hard ones that people decide would count the more, the older the desk.
    """
    tickets = Ticket.objects.filter(example=None, embedding__isnull=False).select_related("source").defer("raw")
    newest = list(tickets.prefetch_related("messages").order_by("-number")[:UNDECIDED])
    oldest = newest[-1].number if len(newest) == UNDECIDED else 0
    each = fitted_on / max(1, Example.objects.filter(ticket__gte=oldest).count())
    return [
        fit.Example(_text(ticket), _vector(ticket), {}, source=ticket.source.name, stands_for=each) for ticket in newest
    ]


def _text(ticket: Ticket) -> str:
    """What the customer wrote, parted as a reading parts it, so that a fit learns from what readings see."""
    texts = [message.text for message in ticket.messages.all() if message.kind == Message.Kind.INBOUND]
    return f"\n{TURN}\n".join([ticket.subject, *texts])


def _accepted() -> dict[int, frozenset[str]]:
    """The fields of held-out tickets whose value a person only accepted; who changed it before or after, changed it."""
    reviews = Review.objects.filter(ticket__example__held_out=True).exclude(field="")
    found: defaultdict[int, dict[str, bool]] = defaultdict(dict)
    for number, name, decision in reviews.order_by("pk").values_list("ticket_id", "field", "decision"):
        found[number][name] = found[number].get(name, True) and decision == Review.Decision.ACCEPTED
    return {number: frozenset(name for name, only in names.items() if only) for number, names in found.items()}


def _vector(row: Example | Ticket) -> Any:
    import numpy as np

    vector = embed(_text(row) if isinstance(row, Ticket) else row.text) if row.embedding is None else row.embedding
    return np.asarray(vector.to_list() if hasattr(vector, "to_list") else vector, dtype=np.float32)
