"""What is pushed to open desks, and to whom.

NOTIFY carries ids inside the transaction that makes them true. Each web process renders a row once and sends it to
every desk that may see it: a row holds nothing personal. Whoever was away asks for the changes since.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.template.loader import get_template

from tickets.models import Agent, Team, Ticket
from tickets.models.ticket import TicketQuerySet
from triage.models import User
from triage.notify import publish
from triage.pipeline.types import MANUAL_REVIEW

Kind = Literal["created", "read", "routed", "reply", "comment", "changed", "failed"]
EVERYTHING = "desk"  # those who see every team's tickets
SOME_TEAMS = "desk-teams"  # everybody else, whatever their teams
OVERLAP = timedelta(seconds=10)  # a transaction that began earlier may commit later: ask again for the last seconds
MOST_CHANGES = 200


def announce(ticket: Ticket, kind: Kind) -> None:
    """Tell every desk that may see this ticket. Delivered when the transaction commits, never on rollback."""
    message = {"type": "ticket.changed", "number": ticket.number, "kind": kind, "seq": time.time_ns() // 1000}
    # A ticket that may have changed its team is told to every agent: those who lost sight of it must drop the row.
    moved = kind in ("read", "routed")
    for group in (EVERYTHING, SOME_TEAMS if moved else group_of(ticket.team_id), f"ticket-{ticket.number}"):
        publish(group, message)


def group_of(team_id: int | None) -> str:
    return f"team-{team_id}" if team_id else "team-none"


@dataclass(frozen=True, slots=True)
class Audience:
    """What one person may see, as groups: two people with the same groups are shown the same."""

    groups: frozenset[str]

    def may_see(self, group: str) -> bool:
        return EVERYTHING in self.groups or group in self.groups


def audience_of(user: User) -> Audience | None:
    """The groups of a person of the staff; None for everybody else. Mirrors `visible_to`."""
    agent = Agent.objects.filter(user=user).select_related("user").first()
    if not user.is_active or (agent is None and not user.is_superuser):
        return None
    if agent is None or agent.sees_everything:
        return Audience(frozenset({EVERYTHING}))
    teams = set(agent.teams.values_list("pk", flat=True))
    teams.update(Team.objects.filter(key=MANUAL_REVIEW).values_list("pk", flat=True))
    return Audience(frozenset({SOME_TEAMS, group_of(None), *map(group_of, teams)}))


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A row as it is shown, and the group that may see it."""

    html: str
    group: str


def render_rows(tickets: Iterable[Ticket]) -> dict[int, RenderedRow]:
    """Rows without a request: nothing in them depends on who looks."""
    template = get_template("tickets/_row.html")
    return {
        ticket.number: RenderedRow(template.render({"ticket": ticket}), group_of(ticket.team_id)) for ticket in tickets
    }


def rows_html(tickets: Iterable[Ticket]) -> dict[int, str]:
    return {number: row.html for number, row in render_rows(tickets).items()}


def changes_since(visible: TicketQuerySet, milliseconds: int) -> TicketQuerySet:
    """The rows that changed since a moment, newest first, with an overlap for late commits."""
    since = datetime.fromtimestamp(min(milliseconds, 2**41) / 1000, UTC) - OVERLAP
    return visible.for_rows().filter(updated_at__gte=since).order_by("-updated_at")[:MOST_CHANGES]
