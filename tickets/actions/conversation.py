from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from tickets.actions.errors import Invalid
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import TEXT_LIMIT, Message, Ticket
from triage.models import User


def comment(*, ticket: Ticket, text: str, by: User | None, author_name: str = "") -> Message:
    """Add an internal comment. `by` is None where an API client that acts for nobody wrote it: then it has a name."""
    if by is not None:
        require_decider(by)
    text = text.replace("\x00", "").strip()
    if not text:
        raise Invalid("blank", "Write something first.", field="text")
    if len(text) > TEXT_LIMIT:
        raise Invalid("too_long", f"Keep a comment under {TEXT_LIMIT:,} characters.", field="text")
    with transaction.atomic():
        message = Message.objects.create(
            ticket=ticket,
            kind=Message.Kind.COMMENT,
            text=text,
            author=by,
            author_name="" if by else author_name,
            created_at=timezone.now(),
        )
        Ticket.objects.filter(pk=ticket.pk).update(updated_at=timezone.now())
        announce(ticket, "comment")
    return message
