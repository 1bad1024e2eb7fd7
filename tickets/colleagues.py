"""Who of the staff may see a ticket, and who leads its team."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from tickets.models import Agent, Team, Ticket
from triage.models import User
from triage.pipeline.types import MANUAL_REVIEW


def colleagues_of(ticket: Ticket) -> QuerySet[User]:
    """Everybody who may see it and works here: `Ticket.objects.visible_to` seen from the other side."""
    with_teams = Agent.objects.filter(role=Agent.Role.AGENT, user__is_superuser=False, teams__isnull=False)
    everyone = Q(agent__isnull=False) | Q(is_superuser=True)
    active = User.objects.filter(everyone, is_active=True)
    if ticket.team is None or ticket.team.key == MANUAL_REVIEW:
        return active
    return active.exclude(agent__in=with_teams.exclude(teams=ticket.team))


def members_of(team: Team) -> QuerySet[User]:
    return User.objects.filter(is_active=True, agent__teams=team)


def leads_of(team: Team | None) -> list[User]:
    """The leads of a team; where it has none, those who lead no team of their own, else the admins."""
    people = User.objects.filter(is_active=True)
    leads = people.filter(agent__role=Agent.Role.LEAD)
    for found in (
        leads.filter(agent__teams=team) if team else leads.none(),
        leads.filter(agent__teams=None),
        people.filter(agent__role=Agent.Role.ADMIN),
    ):
        if some := list(found.distinct()):
            return some
    return []
