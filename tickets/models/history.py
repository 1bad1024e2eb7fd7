from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tickets.models.event import TRACKED, Event
from tickets.models.join_event import JoinEvent
from tickets.models.labels import Named, all_labels
from tickets.models.rule import Rule
from tickets.models.ticket import Ticket
from triage.models import User

SHOWN = tuple(name for name in TRACKED if name not in ("number", "requester"))
MACHINES = {"machine": "Triage Desk", "channel": "Triage Desk", "visitor": "Customer", "database": "Database"}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a ticket, changed once, by somebody."""

    at: datetime
    actor: str
    actor_label: str
    field: str
    before: Any
    after: Any
    correlation_id: str
    event: int  # pgh_id of the snapshot after it; 0 of what is no field of the ticket


def changes_of(
    ticket: Ticket,
    limit: int = 500,
    labels: Mapping[str, Sequence[Named]] | None = None,
    joins: Sequence[JoinEvent] = (),
) -> list[Change]:
    """Every change of a tracked field, newest first, from the snapshots that the database wrote; and of its `joins`.

    What was changed at once stands in the order of SHOWN.
    """
    events = list(Event.objects.filter(pgh_obj_id=ticket.pk).order_by("pgh_id")[:limit])
    people = _people(events, joins)
    known = all_labels() if labels is None else labels
    names = {kind: {one.pk: one.name for one in named} for kind, named in known.items()}
    deeds: list[list[Change]] = []
    before: Event | None = None
    for event in events:
        label = people.get(event.actor) or _machine_label(event.actor)
        if before is None:
            deeds.append([_change(event, label, "created", None, None)])
        else:
            # What is spam is out of the desk as what is deleted: that it was marked says both.
            said = [name for name in SHOWN if name != "deleted_at" or before.spam == event.spam]
            pairs = ((name, *(_shown(one, name, names, people) for one in (before, event))) for name in said)
            deeds.append([_change(event, label, name, old, new) for name, old, new in pairs if old != new])
        before = event
    deeds += [[_join(join, people.get(join.actor) or _machine_label(join.actor))] for join in joins]
    deeds = sorted(filter(None, deeds), key=lambda deed: deed[0].at)
    return [change for deed in reversed(deeds) for change in deed]


def moved_last(ticket: Ticket) -> tuple[str, datetime] | None:
    """Who gave the ticket the status that it has, by name, and when; None where it has had no other."""
    events = Event.objects.filter(pgh_obj_id=ticket.pk).order_by("pgh_id")
    before = events.exclude(status=ticket.status).last()
    event = events.filter(pgh_id__gt=before.pgh_id).first() if before else None
    if event is None:
        return None
    return _people([event], ()).get(event.actor) or _machine_label(event.actor), event.pgh_created_at


def _join(join: JoinEvent, label: str) -> Change:
    before, after = (join.told, None) if join.ended else (None, join.told)
    return Change(join.at, join.actor, label, join.what, before, after, join.correlation_id, 0)


def _change(event: Event, label: str, name: str, old: Any, new: Any) -> Change:
    return Change(event.pgh_created_at, event.actor, label, name, old, new, event.correlation_id, event.pgh_id)


def _people(events: Sequence[Event], joins: Sequence[JoinEvent]) -> dict[str, str]:
    """{"user:7": "Ada Lovelace", "rule:3": "Rule Refunds"} for those whom these name, as actor or assignee."""
    actors = [event.actor for event in events] + [join.actor for join in joins]
    named = {actor for actor in actors if actor.startswith("user:")}
    keys = {int(actor.removeprefix("user:")) for actor in named}
    keys |= {event.assignee_id for event in events if event.assignee_id}
    found = {f"user:{user.pk}": user.label for user in User.objects.filter(pk__in=keys)}
    rules = {int(event.actor.removeprefix("rule:")) for event in events if event.actor.startswith("rule:")}
    if rules:
        found |= {rule.actor: f"Rule \u201c{rule.name}\u201d" for rule in Rule.objects.filter(pk__in=rules)}
    return found


def _machine_label(actor: str) -> str:
    kind, _, which = actor.partition(":")
    if kind in ("api", "command"):
        return f"{'API key' if kind == 'api' else 'Command'} {which}"
    label = MACHINES.get(kind, actor)
    return f"{label} ({which})" if which else label


def _shown(event: Event, name: str, names: dict[str, dict[int, str]], people: dict[str, str]) -> Any:
    if name in names:
        return names[name].get(getattr(event, f"{name}_id"))
    if name == "assignee":
        return people.get(f"user:{event.assignee_id}") if event.assignee_id else None
    if name == "merged_into":
        return f"#{event.merged_into_id}" if event.merged_into_id else None
    return getattr(event, name)
