"""What a reading may lean on, gathered from the desk's own rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from django.conf import settings
from django.db import DatabaseError

from tickets.channels import replying
from tickets.models import Category, Component, Message, Priority, Requester, Team, Ticket
from tickets.models.taxonomy import Label as LabelRow
from tickets.neighbours import Neighbour, Neighbours, neighbours_of
from tickets.policies import Policies
from triage import calls
from triage.mask import redact
from triage.models import User
from triage.pipeline.types import (
    Answered,
    Ask,
    Context,
    Decided,
    FieldName,
    FieldValue,
    Inquiry,
    Label,
    LocalReader,
    Taxonomy,
    Turn,
)

log = structlog.get_logger(__name__)
TAXONOMY_SECONDS = 5.0
CLOSED_LISTS = ("category", "team", "component")


@dataclass(frozen=True, slots=True)
class _Labels:
    """The active labels, as a reading knows them and as rows by their keys; and what is promised to all."""

    at: float
    taxonomy: Taxonomy
    rows: Mapping[str, Mapping[str, LabelRow]]
    hours: Mapping[str, float]

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.at < TAXONOMY_SECONDS and not settings.TESTING


_cached: _Labels | None = None


def taxonomy() -> tuple[Taxonomy, Mapping[str, float]]:
    """The active labels, and by priority the hours to a first answer that hold for all; remembered for seconds."""
    global _cached  # noqa: PLW0603  one value a process, replaced whole
    if _cached is None or not _cached.is_fresh:
        _cached = _labels()
    return _cached.taxonomy, _cached.hours


def remembered(name: str, key: Any) -> LabelRow | None:
    """The row of a label that a reading has named, where it is still in mind; else it has to be looked up."""
    return _cached.rows.get(name, {}).get(key) if _cached is not None and _cached.is_fresh else None


def _labels() -> _Labels:
    categories = list(Category.objects.filter(active=True).select_related("default_team"))
    teams, components = list(Team.objects.filter(active=True)), list(Component.objects.filter(active=True))
    found = Taxonomy(
        categories=tuple(_label(row, _active_key(row.default_team)) for row in categories),
        teams=tuple(map(_label, teams)),
        components=tuple(map(_label, components)),
    )
    of_names: dict[str, Sequence[LabelRow]] = {"category": categories, "team": teams, "component": components}
    rows = {name: {row.key: row for row in some} for name, some in of_names.items()}
    policies = Policies.current()
    told = {priority: policies.hours_for_all(priority) for priority in Priority.values}
    return _Labels(time.monotonic(), found, rows, {priority: number for priority, number in told.items() if number})


def _active_key(team: Team | None) -> str | None:
    return team.key if team is not None and team.active else None


def _label(row: LabelRow, default_team: str | None = None) -> Label:
    return Label(row.key, row.name, row.description, tuple(row.aliases), default_team)


def inquiry_of(ticket: Ticket, messages: Sequence[Message]) -> Inquiry:
    """The whole conversation of a ticket, oldest first, without internal comments."""
    turns = tuple(
        Turn("customer" if message.kind == Message.Kind.INBOUND else "agent", message.text)
        for message in messages
        if message.kind in (Message.Kind.INBOUND, Message.Kind.OUTBOUND)
    )
    requester = ticket.requester
    return Inquiry(
        subject=ticket.subject,
        turns=turns,
        source=ticket.source.name,
        requester_name=requester.name if requester else "",
        requester_email=requester.email if requester else "",
        submitted_priority=ticket.submitted_priority or None,
        submitted_tier=ticket.submitted_tier,
        subject_kind="ticket",
        subject_id=str(ticket.number),
        masking=ticket.source.masking,
        others=_others(ticket, messages),
        link_follows=replying(ticket).links_back,
    )


def _others(ticket: Ticket, messages: Sequence[Message]) -> tuple[str, ...]:
    """What those are called who wrote here beside the requester: colleagues of theirs, and ours."""
    customers = {row.requester_id for row in messages if row.requester_id and row.requester_id != ticket.requester_id}
    agents = {row.author_id for row in messages if row.author_id}
    people = Requester.objects.filter(pk__in=customers) if customers else ()
    ours = User.objects.filter(pk__in=agents) if agents else ()
    return tuple(filter(None, [*(person.name for person in people), *(user.get_full_name() for user in ours)]))


def near(vector: Any, ticket: Ticket | None = None, *, alike: int = 0) -> Neighbours:
    """What a reading leans on, of what is near to `vector`; also `alike` tickets of any state."""
    number = ticket.number if ticket else 0  # no ticket has the number 0
    return neighbours_of(vector, number=number, told=calls.configured(), alike=alike)


def gather(
    inquiry: Inquiry,
    vector: Any,
    *,
    ticket: Ticket | None = None,
    engine: str = "cascade",
    neighbours: Neighbours | None = None,
) -> Context:
    """The taxonomy, decided examples and answered tickets nearest to `vector`, and the engines that can be asked.

    `neighbours` are those of `vector`, where they are known already.
    """
    labels, hours = taxonomy()
    ask: Ask | None = calls.ask if calls.configured() else None
    found = near(vector, ticket) if neighbours is None else neighbours
    return Context(
        taxonomy=labels,
        vector=vector,
        local=_local(),
        ask=ask,
        examples=[_decided(one, labels) for one in found.decided],
        answers=_answers(found.answered),
        sla_hours=hours,
        guidance=ticket.source.guidance if ticket else "",
        escalate_below=settings.ESCALATE_BELOW,
        want_draft=ticket is None or ticket.is_open,
        engine=engine,  # type: ignore[arg-type]
    )


def _local() -> LocalReader | None:
    """The fit in force. Without one that can be loaded or made, the other engines read."""
    from triage.learning.live import load_local

    try:
        return load_local()
    except DatabaseError:
        raise  # nothing of the reading could be stored: the ticket is read again later
    except Exception:
        log.exception("local_engine_not_loaded")
        return None


def _decided(one: Neighbour, known: Taxonomy) -> Decided:
    """A decided text; without what is personal in it, for it may be told to a model."""
    text = redact(one.text, one.names) if one.text else ""
    return Decided(text, usable_labels(one.labels, known), one.similarity, one.number)


def usable_labels(labels: Mapping[str, Any], known: Taxonomy) -> dict[Any, FieldValue]:
    """The labels of an example but for those that nobody can give now. They count again when they can."""
    usable: dict[Any, FieldValue] = {}
    for name, value in labels.items():
        if value is None and name != "component":
            continue  # none of the components is a decision; no category is not
        if name in CLOSED_LISTS and value is not None and value not in (known.values(cast(FieldName, name)) or ()):
            continue
        usable[name] = tuple(value) if isinstance(value, list) else value
    return usable


def _answers(ended: Iterable[Neighbour]) -> list[Answered]:
    """Resolved tickets like this one, with the last reply that a person sent there, and what its people are called:
    that must not reach another customer's prompt or draft.
    """
    answers = []
    for one in ended:
        if one.similarity < settings.TRIAGE_SIMILAR_FROM:
            break
        replies = Message.objects.filter(ticket=one.number, kind=Message.Kind.OUTBOUND)
        reply = replies.select_related("author").order_by("pk").last()
        if reply is not None:
            names = (*one.names, *([reply.author.label] if reply.author else []))
            answers.append(Answered(one.number, one.subject, reply.text, one.similarity, names))
    return answers
