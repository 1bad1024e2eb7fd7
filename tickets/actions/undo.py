"""Taking back what the machine did to a ticket: the value that was there before, as a person's decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from tickets.actions import status
from tickets.actions.decided import LABELS
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.review import DECIDED_BY_PEOPLE, correct, require_decider
from tickets.models import Event, Status, Ticket
from tickets.models.history import Change
from triage.models import User
from triage.pipeline.types import MANUAL_REVIEW

MACHINES = ("machine:", "rule:")
_CHANGED_SINCE = "This was changed or decided meanwhile. Look at what is there now."


def undoable(ticket: Ticket, changes: Sequence[Change]) -> dict[str, Change]:
    """The machine's change of each field that still stands. `changes` are all of the ticket's, newest first."""
    latest: dict[str, Change] = {}
    for change in changes:
        latest.setdefault(change.field, change)
    return {
        name: change
        for name, change in latest.items()
        if change.actor.startswith(MACHINES) and _stands(ticket, name) and not _is_nothing(change, ticket)
    }


def undo(*, ticket: Ticket, event: int, fields: Iterable[str], by: User) -> Ticket:
    """Give these fields the values that they had before the machine's change `event`.

    From then on they are a person's, with a Review each, and teach like any correction. A team that there was not is
    Manual Review. Raises Conflict when a field has been changed or decided since.
    """
    require_decider(by)
    with transaction.atomic():
        held = Ticket.objects.select_for_update(of=("self",)).get(pk=ticket.pk)
        after, before = _snapshots(held, event)
        changes: dict[str, Any] = {}
        for name in fields:
            column = f"{name}_id" if name in LABELS else name
            was, made, now = (getattr(one, column, None) for one in (before, after, held))
            if not _stands(held, name) or made != now or was == made:
                raise Conflict("changed_since", _CHANGED_SINCE, field=name)
            changes[name] = _spelled(name, was)
        if changes.pop("escalated", None) is not None:
            held = status.change(ticket=held, status=Status.IN_REVIEW, by=by)
        return correct(ticket=held, changes=changes, by=by, why="The machine's change was undone.") if changes else held


def _stands(ticket: Ticket, name: str) -> bool:
    """Whether a person may take this back, and none has decided it yet."""
    if name == "escalated":
        return ticket.escalated and ticket.status == Status.ESCALATED and not ticket.decided_by_person(name)
    return name in DECIDED_BY_PEOPLE and not ticket.decided_by_person(name)


def _is_nothing(change: Change, ticket: Ticket) -> bool:
    """Manual Review, given to a ticket of no team: there is nothing that it could go back to."""
    return change.field == "team" and change.before is None and ticket.value_of("team") == MANUAL_REVIEW


def _snapshots(ticket: Ticket, event: int) -> tuple[Event, Event]:
    """The machine's change and what the ticket was before it."""
    events = Event.objects.filter(pgh_obj_id=ticket.pk)
    after = events.filter(pgh_id=event).first()
    before = events.filter(pgh_id__lt=event).order_by("-pgh_id").first()
    if after is None or before is None or not after.actor.startswith(MACHINES):
        raise Invalid("no_such_change", "There is no such change of the machine's to undo.")
    return after, before


def _spelled(name: str, was: Any) -> Any:
    if name in LABELS:
        label = LABELS[name]._default_manager.filter(pk=was).first() if was else None
        return label.key if label else MANUAL_REVIEW if name == "team" else None
    return was
