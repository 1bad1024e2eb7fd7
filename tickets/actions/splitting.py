"""Making two tickets of one, by messages, and one again."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from tickets.actions.drafts import last_inbound
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.joined import hold, refuse_if_merged, require_sight
from tickets.actions.merging import put_back
from tickets.actions.review import require_decider
from tickets.channels.base import clean_line
from tickets.live import announce
from tickets.models import SUBJECT_LIMIT, Draft, Message, Split, Ticket, excerpt_of
from tickets.models.ticket import SUBMISSION
from triage import correlation
from triage.models import User
from triage.queue import ring

MOVABLE = (Message.Kind.INBOUND, Message.Kind.COMMENT)


def split(*, ticket: Ticket, messages: Collection[int], by: User, subject: str = "") -> Split:
    """Make these messages (primary keys) a ticket of their own, which the machine reads like a new one.

    It is the requester's who wrote the first of them, and as old as that is. Replies stay where they were sent. Raises
    Invalid when nothing moves or nothing stays, Conflict when the ticket was merged or a message moved meanwhile.
    """
    require_decider(by)
    with transaction.atomic():
        held = hold(ticket.pk)[ticket.pk]
        require_sight(by, held.pk)
        refuse_if_merged(held)
        moving = _chosen(held, set(messages))
        first = next(message for message in moving if message.kind == Message.Kind.INBOUND)
        new = Ticket.objects.create(
            subject=clean_line(subject)[:SUBJECT_LIMIT] or held.subject,
            excerpt=excerpt_of(first.text),
            requester=first.requester or held.requester,
            source=held.source,
            team=held.team,
            correlation_id=correlation.current(),
            created_at=first.created_at,
        )
        keys = [message.pk for message in moving]
        Message.objects.filter(pk__in=keys).update(ticket=new, origin=Coalesce("origin", held.pk))
        done = Split.objects.create(ticket=held, new=new, messages=keys, by=by)
        _read_anew(held)
        ring("interactive")
        announce(new, "created")
        announce(held, "changed")
    return done


def unsplit(*, split: Split, by: User) -> Ticket:
    """Put the messages back where they were; the ticket they made stays, empty, as a signpost to that.

    Raises Conflict, with the reason, when something has come of that ticket since.
    """
    require_decider(by)
    with transaction.atomic():
        held = hold(split.ticket_id, split.new_id)
        done = Split.objects.select_for_update(of=("self",)).get(pk=split.pk)
        ticket, new = held[done.ticket_id], held[done.new_id]
        require_sight(by, ticket.pk, new.pk)
        _refuse_if_overtaken(done, new)
        refuse_if_merged(ticket)
        try:
            with transaction.atomic():
                Message.objects.filter(pk__in=done.messages).update(ticket=ticket)
                Message.objects.filter(pk__in=done.messages, origin=ticket).update(origin=None)
        except IntegrityError as error:
            raise Conflict("came_again", f"One of these messages came to #{ticket.pk} once more.") from error
        put_back(ticket=new, into=ticket, by=by)
        done.undone_by, done.undone_at = by, timezone.now()
        done.save(update_fields=["undone_by", "undone_at"])
        _read_anew(ticket)
        announce(new, "changed")
        announce(ticket, "changed")
    return ticket


def _chosen(ticket: Ticket, keys: set[int]) -> list[Message]:
    messages = list(ticket.messages.order_by("created_at", "pk"))
    moving = [message for message in messages if message.pk in keys]
    if len(moving) < len(keys):
        raise Conflict("moved", "One of these messages is not on this ticket any more. Look again.")
    if any(message.kind not in MOVABLE for message in moving):
        raise Invalid("not_movable", "Replies stay where they were sent. Choose what customers and colleagues wrote.")
    inbound = [message for message in messages if message.kind == Message.Kind.INBOUND]
    leaving = [message for message in inbound if message.pk in keys]
    if not leaving:
        raise Invalid("nothing_moves", "Choose at least one message of the customer's.", field="messages")
    if len(leaving) == len(inbound):
        raise Invalid("nothing_stays", "At least one message of the customer's has to stay.", field="messages")
    return moving


def _refuse_if_overtaken(done: Split, new: Ticket) -> None:
    if done.undone_at is not None:
        raise Conflict("undone", "This was undone already.")
    if new.merged_into_id:
        raise Conflict("merged", f"#{new.pk} was merged into #{new.merged_into_id} since. Undo that first.")
    there = set(new.messages.values_list("pk", flat=True))
    if there - set(done.messages):
        raise Conflict("written_since", f"Something was written on #{new.pk} since. Merge it with this one instead.")
    if there != set(done.messages):
        raise Conflict("moved_on", f"Messages of #{new.pk} were split off it since. Undo that first.")
    if Ticket.objects.filter(merged_into=new).exists():
        raise Conflict("joined_since", f"Another ticket was merged into #{new.pk} since. Undo that first.")


def _read_anew(ticket: Ticket) -> None:
    """Other messages than before: a draft for them is stale unless it answers the last one, and the machine reads."""
    Draft.objects.filter(ticket=ticket).update(stale=True)
    Draft.objects.filter(ticket=ticket, answers=last_inbound(ticket)).update(stale=False)
    if ticket.is_open:
        ticket.submit(lane=None)
        ticket.save(update_fields=SUBMISSION)
        ring("interactive")
