from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from tickets.actions.attaching import Upload, attach_all
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.notifying import notify
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.mentions import meant
from tickets.models import TEXT_LIMIT, CommentVersion, Message, Ticket, excerpt_of
from triage.models import User

EDITABLE = timedelta(minutes=15)


def comment(
    *, ticket: Ticket, text: str, by: User | None, author_name: str = "", files: Sequence[Upload] = ()
) -> Message:
    """Add an internal comment, with files that were checked, and tell those whom it mentions.

    `by` is None where an API client that acts for nobody wrote it: then it has a name.
    """
    if by is not None:
        require_decider(by)
    text = _clean(text)
    with transaction.atomic():
        message = Message.objects.create(
            ticket=ticket,
            kind=Message.Kind.COMMENT,
            text=text,
            author=by,
            author_name="" if by else author_name,
            created_at=timezone.now(),
        )
        attach_all(message=message, files=files)
        Ticket.objects.filter(pk=ticket.pk).update(updated_at=timezone.now())
        announce(ticket, "comment")
        notify(kind="mention", ticket=ticket, to=meant(text), by=by, text=excerpt_of(text))
    return message


def edit(*, message: Message, text: str, by: User) -> Message:
    """Correct one's own comment while it is fresh. What it said before is kept; who is newly mentioned is told.

    Raises Forbidden for the words of another, Conflict when it is too old, Invalid for what is no comment.
    """
    require_decider(by)
    text = _clean(text)
    with transaction.atomic():
        held = Message.objects.select_for_update(of=("self",)).select_related("ticket").get(pk=message.pk)
        if held.kind != Message.Kind.COMMENT:
            raise Invalid("no_comment", "Only an internal comment can be edited.")
        if held.author_id != by.pk:
            raise Forbidden("not_yours", "You can edit your own comments only.")
        if not may_edit(held, by):
            minutes = EDITABLE.seconds // 60
            raise Conflict("too_late", f"A comment can be edited for {minutes} minutes. Write another one instead.")
        if text == held.text:
            return held
        CommentVersion.objects.create(message=held, text=held.text, by=by)
        before = {user.pk for user in meant(held.text)}
        held.text, held.edited_at = text, timezone.now()
        held.save(update_fields=["text", "edited_at"])
        Ticket.objects.filter(pk=held.ticket_id).update(updated_at=timezone.now())
        announce(held.ticket, "comment")
        new = [user for user in meant(text) if user.pk not in before]
        notify(kind="mention", ticket=held.ticket, to=new, by=by, text=excerpt_of(text))
    return held


def may_edit(message: Message, by: User) -> bool:
    """Whether this is a comment of theirs that is fresh enough to be corrected."""
    own = message.kind == Message.Kind.COMMENT and message.author_id == by.pk
    return own and timezone.now() - message.created_at < EDITABLE


def _clean(text: str) -> str:
    text = text.replace("\x00", "").replace("\r\n", "\n").strip()
    if not text:
        raise Invalid("blank", "Write something first.", field="text")
    if len(text) > TEXT_LIMIT:
        raise Invalid("too_long", f"Keep a comment under {TEXT_LIMIT:,} characters.", field="text")
    return text
