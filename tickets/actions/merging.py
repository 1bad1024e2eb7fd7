"""Making two tickets one thread, and two again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from tickets.actions.drafts import last_inbound
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.joined import hold, require_sight
from tickets.actions.review import require_decider
from tickets.live import announce
from tickets.models import Draft, Merge, Message, Status, Ticket, TriageState
from tickets.models.ticket import STATUS, SUBMISSION
from triage.models import User
from triage.queue import ring


def merge(*, ticket: Ticket, into: Ticket, by: User) -> Merge:
    """Make `ticket` part of the thread of `into`: it is closed, its work stops, what its customer writes lands there.

    No message moves and no draft is lost, so `unmerge` gives back what there was. Into one that is merged itself means
    into the one at its root. Raises Invalid for itself or a circle, Conflict when somebody merged one of them first,
    Forbidden when one is out of sight.
    """
    require_decider(by)
    require_sight(by, ticket.pk, into.pk)
    root = Ticket.objects.filter(pk=into.pk).values_list("merged_into", flat=True).get() or into.pk
    if root == ticket.pk:
        why = (
            "A ticket is not merged into itself." if into.pk == root else f"#{into.pk} is merged into this one already."
        )
        raise Invalid("circle", why, field="into")
    require_sight(by, root)
    with transaction.atomic():
        parts = list(Ticket.everything.filter(merged_into=ticket.pk).values_list("pk", flat=True))
        held = hold(ticket.pk, root, following=parts)
        one, other = held[ticket.pk], held[root]
        if one.merged_into_id:
            raise Conflict("merged_already", f"#{one.pk} was merged into #{one.merged_into_id} meanwhile.")
        if other.merged_into_id:
            raise Conflict(
                "target_merged", f"#{root} was merged into #{other.merged_into_id} meanwhile. Merge it there."
            )
        done = Merge.objects.create(ticket=one, into=other, by=by, before=_before(one, other))
        latest = last_inbound(other)
        _close(one, other)
        Ticket.everything.filter(merged_into=one.pk).update(merged_into=other.pk, updated_at=timezone.now())
        _read_anew(other, stale=last_inbound(other) != latest)
        for changed in (one, other):
            announce(changed, "changed")
    return done


def unmerge(*, ticket: Ticket, by: User) -> Ticket:
    """Make it a ticket of its own again, as it was; with what its customer has written since, it is to be read.

    What was done at the other ticket meanwhile, replies too, stays there. Raises Conflict when that cannot be: it is
    not merged any more, or was only put back by the undoing of a split.
    """
    require_decider(by)
    with transaction.atomic():
        done, held = _hold_merged(ticket)
        one, root = held[ticket.pk], held[held[ticket.pk].merged_into_id or 0]
        require_sight(by, one.pk, root.pk)
        before: dict[str, Any] | None = done.before
        if before is None:
            raise Conflict("nothing_to_undo", f"#{one.pk} has no messages of its own: it was split off, and put back.")
        Ticket.everything.filter(pk__in=_following(one.pk)).update(merged_into=one.pk, updated_at=timezone.now())
        latest = last_inbound(root)
        _open_again(one, before)
        _give_back(root, before)
        _read_anew(root, stale=last_inbound(root) != latest)
        done.undone_by, done.undone_at = by, timezone.now()
        done.save(update_fields=["undone_by", "undone_at"])
        for changed in (one, root):
            announce(changed, "changed")
    return one


def put_back(*, ticket: Ticket, into: Ticket, by: User) -> None:
    """Leave an empty ticket as a signpost to another, for good. Both are held by the caller."""
    Merge.objects.create(ticket=ticket, into=into, by=by)
    _close(ticket, into)


def _before(one: Ticket, other: Ticket) -> dict[str, Any]:
    reopens = one.is_open and not other.is_open
    last = Message.objects.thread(other).aggregate(last=Max("pk"))["last"]
    own = Message.objects.thread(one).aggregate(last=Max("pk"))["last"]
    return {"ticket": _state(one), "into": _state(other) if reopens else None, "message": max(last or 0, own or 0)}


def _state(ticket: Ticket) -> dict[str, Any]:
    moments = {name: getattr(ticket, name) for name in STATUS[1:]}
    return {"status": ticket.status, **{name: at.isoformat() if at else None for name, at in moments.items()}}


def _close(one: Ticket, other: Ticket) -> None:
    """`one` ends; where it still waited for somebody, the other one does now."""
    was_open = one.is_open
    if one.triage_state == TriageState.PROCESSING:  # whoever reads it now finds the claim gone
        one.triage_state, one.lease_until = TriageState.SUBMITTED, None
        one.claim += 1
    one.set_status(Status.CLOSED)
    one.merged_into, one.snoozed_until = other, None
    one.save(update_fields=["merged_into", *STATUS, "triage_state", "lease_until", "claim", "updated_at"])
    if was_open and not other.is_open:
        other.set_status(Status.IN_REVIEW)
        other.save(update_fields=[*STATUS, "updated_at"])


def _read_anew(ticket: Ticket, *, stale: bool) -> None:
    """What is said there has changed: the machine reads it again, and a draft that answers less is stale."""
    if stale:
        latest = last_inbound(ticket)
        Draft.objects.filter(ticket=ticket).update(stale=True)
        Draft.objects.filter(ticket=ticket, answers=latest).update(stale=False)
    if ticket.is_open:
        ticket.submit(lane=None)
        ticket.save(update_fields=SUBMISSION)
        ring("interactive")


def _hold_merged(ticket: Ticket) -> tuple[Merge, dict[int, Ticket]]:
    """The merge that stands, with the tickets it joined and those that follow, all locked."""
    standing = Merge.objects.filter(ticket=ticket.pk, undone_at=None)
    root = Ticket.objects.filter(pk=ticket.pk).values_list("merged_into", flat=True).first()
    if root is None:
        raise Conflict("not_merged", f"#{ticket.pk} is a ticket of its own already.")
    held = hold(ticket.pk, root, following=_following(ticket.pk))
    done = standing.first()
    if done is None or held[ticket.pk].merged_into_id != root:
        raise Conflict("not_merged", f"#{ticket.pk} was brought back or merged elsewhere meanwhile. Look again.")
    return done, held


def _following(number: int) -> set[int]:
    """Those that were merged into this one, and those into them: they go where it goes."""
    found: set[int] = set()
    level = {number}
    while level:
        standing = Merge.objects.filter(into__in=level, undone_at=None)
        level = set(standing.values_list("ticket", flat=True)) - found
        found |= level
    return found


def _open_again(one: Ticket, before: dict[str, Any]) -> None:
    was = before["ticket"]
    one.merged_into = None
    one.status, one.resolved_at = was["status"], _moment(was["resolved_at"])
    until = _moment(was["snoozed_until"])
    one.snoozed_until = until if until and until > timezone.now() else None
    news = Message.objects.thread(one).filter(kind=Message.Kind.INBOUND, pk__gt=before["message"])
    if news.exists():  # its customer has written since: as if they had written to it
        one.set_status(Status.NEW)
        one.snoozed_until = None
        one.submit(lane=None)
        Draft.objects.filter(ticket=one).update(stale=True)
    one.save(update_fields=["merged_into", *STATUS, *SUBMISSION])
    if one.triage_state == TriageState.SUBMITTED:
        ring("interactive")


def _give_back(root: Ticket, before: dict[str, Any]) -> None:
    """End the other one again where it had ended before, and nothing was said or decided about it since."""
    was = before["into"]
    since = Message.objects.thread(root).filter(pk__gt=before["message"])
    if was is None or root.status != Status.IN_REVIEW or since.exists():
        return
    root.status, root.resolved_at = was["status"], _moment(was["resolved_at"])
    root.save(update_fields=["status", "resolved_at", "updated_at"])


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None
