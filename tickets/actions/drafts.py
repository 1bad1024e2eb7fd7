from __future__ import annotations

from typing import cast

from django.db import connection, transaction

from tickets.actions.errors import Conflict, Invalid
from tickets.actions.review import require_decider
from tickets.flagged import flags_of, stored
from tickets.models import TEXT_LIMIT, Draft, Ticket
from triage.flags import visible
from triage.models import User

# Written out: every reading, draft and approval asks for it.
_LAST_INBOUND = """
    SELECT max(id) FROM tickets_message
    WHERE kind = 'inbound' AND ticket_id IN (
        SELECT number FROM tickets_ticket
        WHERE deleted_at IS NULL AND (number = %(number)s OR merged_into_id = %(number)s)
    )
"""


def last_inbound(ticket: Ticket) -> int | None:
    """The last message of a customer in its thread, as its primary key."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_INBOUND, {"number": ticket.pk})
        (last,) = cursor.fetchone()
    return cast("int | None", last)


def clean_reply(text: str) -> str:
    """A reply fit to store, all of it to be seen. Raises Invalid when there is nothing, or far too much, in it."""
    text = visible(text.replace("\r\n", "\n")).strip()
    if not text:
        raise Invalid("blank", "The reply is empty. Write something first.", field="text")
    if len(text) > TEXT_LIMIT:
        raise Invalid("too_long", f"Keep a reply under {TEXT_LIMIT:,} characters.", field="text")
    return text


def save(*, ticket: Ticket, text: str, version: int, by: User, answers: int | None = None) -> Draft:
    """Keep an edited draft. `version` is the one the editor started from, 0 where there was none.

    `answers` is the primary key of the customer's last message that the editor saw: a draft that a person keeps in
    sight of the newest one answers it, and is stale no more.

    Raises Conflict when it has been changed or sent since.
    """
    require_decider(by)
    text = clean_reply(text)
    with transaction.atomic():
        held = _held(ticket)
        draft = Draft.objects.filter(ticket=held).select_related("suggestion").first()
        if draft is None and version == 0:
            suggestion = held.latest_suggestion
            draft = Draft(ticket=held, suggestion=suggestion, text=text, editor=by, answers_id=last_inbound(held))
            draft.flags = stored(flags_of(held, text, suggestion))
            draft.save()
            return draft
        if draft is None:
            raise Conflict("already_sent", "This reply has been sent meanwhile. Your text was not sent.")
        _refuse_if_changed(draft, version)
        if draft.text != text:
            draft.text, draft.flags = text, stored(flags_of(held, text, draft.suggestion))
            draft.editor = by
            draft.version += 1
            draft.save(update_fields=["text", "flags", "editor", "version", "updated_at"])
        if answers is not None and answers == last_inbound(held):
            draft.answers_id, draft.stale = answers, False
            draft.save(update_fields=["answers", "stale"])
    return draft


def restore(*, ticket: Ticket, by: User, version: int | None = None) -> Draft:
    """Go back to what the machine wrote last.

    `version` is that of the draft the person saw. Raises Conflict when it has been changed since.
    """
    require_decider(by)
    with transaction.atomic():
        held = _held(ticket)
        suggestion = held.latest_suggestion
        if suggestion is None or not suggestion.draft:
            raise Invalid("no_suggestion", "There is no suggested reply to go back to.")
        draft = Draft.objects.filter(ticket=held).first() or Draft(ticket=held, version=0)
        if version is not None and draft.pk:
            _refuse_if_changed(draft, version)
        draft.suggestion, draft.text, draft.editor, draft.keep_open = suggestion, suggestion.draft, None, False
        draft.flags = stored(flags_of(held, draft.text, suggestion))
        draft.answers_id, draft.proposed_by = suggestion.last_message_id, ""
        draft.stale = suggestion.last_message_id != last_inbound(held)
        draft.version += 1
        draft.save()
    return draft


def _refuse_if_changed(draft: Draft, version: int) -> None:
    if draft.version != version:
        who = draft.editor.label if draft.editor else "the machine, which read the ticket again"
        raise Conflict("draft_changed", f"The draft was changed by {who}. Look at it before you go on.")


def _held(ticket: Ticket) -> Ticket:
    return Ticket.objects.select_for_update(of=("self",)).select_related("requester", "source").get(pk=ticket.pk)
