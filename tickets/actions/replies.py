"""The one place where a text becomes a reply: a named person approves it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format

from tickets.actions.attaching import drafted
from tickets.actions.drafts import clean_reply, last_inbound
from tickets.actions.errors import Conflict, Flagged, Invalid
from tickets.actions.mail_thread import copies_of
from tickets.actions.promising import reckon
from tickets.actions.review import require_decider
from tickets.actions.snoozing import require_ahead
from tickets.channels import replying
from tickets.channels.base import Channel
from tickets.flagged import flags_of, stored
from tickets.live import announce
from tickets.models import (
    ENDED,
    ApiKey,
    Attachment,
    Delivery,
    Draft,
    Event,
    Message,
    Review,
    Status,
    Suggestion,
    Ticket,
)
from tickets.models.ticket import SLA, STATUS
from triage import correlation
from triage.models import User
from triage.queue import ring


def approve(
    *,
    ticket: Ticket,
    text: str,
    version: int,
    answers: int | None,
    by: User,
    replied: int | None = None,
    keep_open: bool = False,
    snooze_until: datetime | None = None,
    accept_flags: Collection[str] | bool = False,
    files: Collection[int] | None = None,
    undo_seconds: int = 0,
    api_key: ApiKey | None = None,
) -> Delivery:
    """Approve `text` as the reply and hand it to the outbox, once; it leaves after `undo_seconds`.

    What the person saw: `version` of the draft (0: there was none), `answers`, the primary key of the customer's last
    message, `replied`, that of the desk's last reply (0: none; without it the customer has to write before a second
    one), `files` with the draft, which go along (None: whatever is there). `snooze_until`, aware, puts the ticket off.
    `accept_flags` are the words that no source holds and that shall be sent all the same, or True for all. Raises
    Conflict when one was quicker or the customer wrote; Flagged; Invalid when there is nothing or nobody to send to.
    """
    require_decider(by)
    text = clean_reply(text)
    if snooze_until is not None:
        require_ahead(snooze_until)
    with transaction.atomic():
        held = _held(ticket.pk)
        draft = Draft.objects.filter(ticket=held).select_related("suggestion").first()
        _refuse_if_overtaken(held, draft, version, answers, replied)
        to = _recipient(held)
        enclosed = _enclosed(held, files)
        suggestion = draft.suggestion if draft else held.latest_suggestion
        review = Review.objects.create(
            ticket=held,
            suggestion=suggestion,
            decision=Review.Decision.APPROVED,
            before=draft.suggestion.draft if draft and draft.suggestion else None,
            text=text,
            why=_accepted(held, text, suggestion, accept_flags),
            files=_named(enclosed),
            by=by,
            api_key=api_key,
        )
        delivery = _enqueue(held, review, to, undo_seconds, snooze_until)
        drafted(held).update(message=delivery.message)
        Draft.objects.filter(ticket=held).delete()
        _answered(held, keep_open=keep_open, snooze_until=snooze_until)
    return delivery


def take_back(*, delivery: Delivery, by: User) -> Draft:
    """Stop an approved reply before it leaves: it is the draft again, and the ticket as it was.

    What somebody did to the ticket since stays, and what was written for another reply follows this one. The approval
    stays on record, and so does who took it back. Raises Conflict when it is on its way already.
    """
    require_decider(by)
    with transaction.atomic():
        held = _held(delivery.ticket_id)
        waiting = Delivery.objects.select_for_update(of=("self",)).filter(pk=delivery.pk, ticket=held)
        reply = waiting.select_related("review__suggestion", "message").first()
        if reply is None or not reply.can_be_taken_back:
            raise Conflict("left", "This reply has left. It cannot be taken back any more.")
        review, message = reply.review, reply.message
        Review.objects.create(
            ticket=held, suggestion=review.suggestion, decision=Review.Decision.WITHDRAWN, text=review.text, by=by
        )
        latest = last_inbound(held)
        draft = Draft.objects.filter(ticket=held).first() or Draft(ticket=held, version=0)
        text = f"{review.text}\n\n{draft.text}" if draft.edited else review.text
        draft.suggestion, draft.text, draft.editor, draft.answers_id = review.suggestion, text, by, latest
        draft.stale = latest is not None and latest > message.pk  # the customer wrote after it was approved
        draft.flags = stored(flags_of(held, draft.text, draft.suggestion))
        draft.version += 1
        draft.save()
        reply.delete()
        Attachment.objects.filter(message=message).update(message=None)  # with the draft again
        message.delete()
        until = held.snoozed_until
        if reply.snoozed_until is not None and until == reply.snoozed_until:
            until = _put_off_before(held, reply.snoozed_until)
        if not held.messages.filter(kind=Message.Kind.OUTBOUND).exists():
            held.first_replied_at = None
        _become(held, Status(held.status if draft.stale or _was_moved_on(held) else reply.status_before), until)
        announce(held, "reply")
    return draft


def _was_moved_on(ticket: Ticket) -> bool:
    """Whether somebody has given the ticket another status since a reply made it wait or ended it."""
    return ticket.merged_into_id is not None or ticket.status not in (Status.WAITING, *ENDED)


def _put_off_before(ticket: Ticket, until: datetime) -> datetime | None:
    """Until when it was put off before a reply put it off `until` then; None where that has passed."""
    events = Event.objects.filter(pgh_obj_id=ticket.pk).exclude(snoozed_until=until).order_by("-pgh_id")
    before: datetime | None = events.values_list("snoozed_until", flat=True).first()
    return before if before is not None and before > timezone.now() else None


def _answered(ticket: Ticket, *, keep_open: bool, snooze_until: datetime | None) -> None:
    ticket.first_replied_at = ticket.first_replied_at or timezone.now()
    status = Status.WAITING if keep_open or snooze_until else Status.RESOLVED
    _become(ticket, status, snooze_until or ticket.snoozed_until)
    announce(ticket, "reply")


def _become(ticket: Ticket, status: Status, until: datetime | None) -> None:
    ticket.set_status(status)
    ticket.snoozed_until = until
    reckon(ticket)
    ticket.save(update_fields=[*STATUS, "first_replied_at", *SLA, "updated_at"])


def _held(number: int) -> Ticket:
    return Ticket.objects.select_for_update(of=("self",)).select_related("requester", "source").get(pk=number)


def why_nobody(ticket: Ticket) -> str:
    """Why this ticket cannot be answered, as a sentence; empty where it can."""
    channel = _channel(ticket)
    return "" if channel.recipient_of(ticket) else channel.why_nobody(ticket)


def _channel(ticket: Ticket) -> Channel:
    return replying(ticket)()


def _recipient(ticket: Ticket) -> str:
    """Whom the reply goes to, by its channel. Raises Invalid where that is nobody."""
    to = _channel(ticket).recipient_of(ticket)
    if not to:
        raise Invalid("no_recipient", _channel(ticket).why_nobody(ticket))
    return to


def _enclosed(ticket: Ticket, seen: Collection[int] | None) -> list[Attachment]:
    """The files that go along. Raises Conflict where they are others than were seen, Invalid where none can."""
    files = list(drafted(ticket))
    if seen is not None and {one.pk for one in files} != set(seen):
        raise Conflict("files_changed", "The files of this reply were changed meanwhile. Look at them before you send.")
    if files and not replying(ticket).carries_files:
        raise Invalid(
            "no_files_there", "Replies to this ticket cannot have files. Remove them first.", field="attachments"
        )
    return files


def _named(files: Collection[Attachment]) -> list[dict[str, object]]:
    return [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in files]


def _refuse_if_overtaken(
    ticket: Ticket, draft: Draft | None, version: int, answers: int | None, replied: int | None
) -> None:
    latest = last_inbound(ticket)
    if answers != latest:
        raise Conflict("stale", "The customer wrote again. The reply was not sent: read the new message first.")
    after = (latest or 0) if replied is None else replied
    sent = ticket.messages.filter(kind=Message.Kind.OUTBOUND, pk__gt=after).select_related("author").last()
    unseen = sent is not None and replied is not None
    if unseen or (draft is None and (version or sent)):
        if sent is None:
            raise Conflict("no_draft", "This draft is gone. Reload the ticket and look again.")
        when = date_format(timezone.localtime(sent.created_at), "H:i")
        raise Conflict("already_sent", f"{sent.author_label} sent a reply at {when}. Yours was not sent.")
    if not ticket.is_open:
        ended = ticket.get_status_display().lower()
        raise Conflict("ended", f"This ticket was {ended} meanwhile. Reopen it to answer; nothing was sent.")
    if draft is not None and draft.version != version:
        who = draft.editor.label if draft.editor else "the machine, which read the ticket again"
        raise Conflict("draft_changed", f"The draft was changed by {who}. Look at it before you send it.")


def _accepted(ticket: Ticket, text: str, suggestion: Suggestion | None, accept: Collection[str] | bool) -> str:
    """What of the text a person sends although nobody gave it, for the review. Raises Flagged without their yes."""
    found = flags_of(ticket, text, suggestion)
    asking = [flag for flag in found if flag.asks]
    if accept is not True and any(accept is False or flag.words not in accept for flag in asking):
        raise Flagged(found, text)
    return "\n".join(f"Sent with {flag.words}" for flag in asking)


def _enqueue(ticket: Ticket, review: Review, to: str, undo_seconds: int, snooze_until: datetime | None) -> Delivery:
    channel, now = replying(ticket).kind, timezone.now()
    message = Message.objects.create(
        ticket=ticket, kind=Message.Kind.OUTBOUND, text=review.text, author=review.by, created_at=now
    )
    ring("interactive")
    return Delivery.objects.create(
        ticket=ticket,
        message=message,
        review=review,
        channel=channel,
        recipient=to,
        cc=copies_of(ticket),
        not_before=now + timedelta(seconds=undo_seconds),
        status_before=ticket.status,
        snoozed_until=snooze_until,
        correlation_id=ticket.correlation_id or correlation.current(),
    )
