"""Replies that a program proposes: they wait in the ticket's draft until a person approves one, and leave no sooner."""

from __future__ import annotations

from django.db import transaction

from tickets.actions.drafts import clean_reply, last_inbound
from tickets.actions.errors import Conflict
from tickets.actions.joined import refuse_if_merged
from tickets.flagged import flags_of, stored
from tickets.live import announce
from tickets.models import ENDED, ApiKey, Draft, Ticket


def propose(*, ticket: Ticket, text: str, by: ApiKey) -> Draft:
    """Make this the draft of the ticket's reply, in the place of one that nobody has edited.

    Raises Conflict where a person is at work on the reply, or the ticket has ended; Invalid for no text.
    """
    text = clean_reply(text)
    with transaction.atomic():
        tickets = Ticket.objects.select_for_update(of=("self",)).select_related("requester", "source")
        held = tickets.get(pk=ticket.pk)
        refuse_if_merged(held)
        if held.status in ENDED:
            raise Conflict("ended", "This ticket has ended. A note is read; a reply would wait for nobody.")
        draft = Draft.objects.filter(ticket=held).first() or Draft(ticket=held, version=0)
        if draft.editor_id is not None:
            raise Conflict("draft_edited", "A person has written this ticket's reply. Add a note for them instead.")
        draft.suggestion = held.latest_suggestion
        draft.text, draft.flags = text, stored(flags_of(held, text, draft.suggestion))
        draft.answers_id, draft.stale, draft.keep_open = last_inbound(held), False, False
        draft.proposed_by = by.name[:100]
        draft.version += 1
        draft.save()
        announce(held, "read")
    return draft
