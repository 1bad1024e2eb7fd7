"""Who has how much to do, asked of the tickets themselves at the time: nothing is counted up and down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Exists, F, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from tickets.colleagues import colleagues_of
from tickets.models import Agent, Team, Ticket
from triage.models import User


def _open_tickets_of(person: str) -> Coalesce:
    """How many open tickets are assigned to the user named by a column of the outer query."""
    mine = Ticket.objects.open().filter(assignee=OuterRef(person)).order_by()
    counted = mine.values("assignee").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))


def members(team: Team) -> QuerySet[Agent]:
    """Those of a team who take tickets now."""
    here = Agent.objects.filter(teams=team, available=True, user__is_active=True)
    return here.exclude(role=Agent.Role.AUDITOR)


@dataclass(frozen=True, slots=True)
class Carrier:
    """Somebody who can be given a ticket. `member`: of the ticket's team."""

    user: User
    load: int
    capacity: int
    available: bool = True
    member: bool = True
    given_at: datetime | None = None

    @property
    def words(self) -> str:
        """Whether they are here, and how much they have: "away", "3 of 25"."""
        return f"{self.load} of {self.capacity}" if self.available else f"away, {self.load} of {self.capacity}"


def least_loaded(team: Team) -> list[Carrier]:
    """Members with room left, the least loaded first; of equals who was given something longest ago."""
    found: Any = members(team).select_related("user").annotate(load=_open_tickets_of("user"))
    found = found.filter(load__lt=F("capacity")).order_by("load", F("given_at").asc(nulls_first=True), "pk")
    return [Carrier(agent.user, agent.load, agent.capacity) for agent in found]


def carriers_of(ticket: Ticket) -> list[Carrier]:
    """Everybody who could be given this ticket, the members of its team first, then by name. One query."""
    people = colleagues_of(ticket).filter(agent__isnull=False).exclude(agent__role=Agent.Role.AUDITOR)
    member = Exists(Agent.teams.through.objects.filter(agent=OuterRef("agent"), team=ticket.team_id))
    listed: Any = people.select_related("agent").annotate(load=_open_tickets_of("pk"), member=member)
    return [
        Carrier(user, user.load, user.agent.capacity, user.agent.available, user.member, user.agent.given_at)
        for user in listed.order_by("-member", "first_name", "username")
    ]


def suggested_of(ticket: Ticket, carriers: Iterable[Carrier]) -> Carrier | None:
    """Who of its team would be given a ticket that nobody has: as `least_loaded` orders them."""
    if not ticket.is_open or ticket.assignee_id:
        return None
    free = (one for one in carriers if one.member and one.available and one.load < one.capacity)
    never = datetime.min.replace(tzinfo=UTC)
    return min(free, key=lambda one: (one.load, one.given_at or never, one.user.agent.pk), default=None)


def members_with_load() -> dict[int, list[Carrier]]:
    """{team: its members, by name}, whether they are here or away. Two queries."""
    listed: Any = Agent.objects.filter(user__is_active=True).exclude(role=Agent.Role.AUDITOR).select_related("user")
    listed = listed.annotate(load=_open_tickets_of("user")).order_by("user__first_name", "user__username")
    found: dict[int, list[Carrier]] = {}
    for agent in listed.prefetch_related("teams"):
        for team in agent.teams.all():
            found.setdefault(team.pk, []).append(Carrier(agent.user, agent.load, agent.capacity, agent.available))
    return found
