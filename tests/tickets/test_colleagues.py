from __future__ import annotations

import pytest

from tickets.colleagues import colleagues_of, leads_of
from tickets.models import Agent, Team, Ticket
from triage.models import User


@pytest.mark.parametrize("team", ["software", "billing", "manual_review", None])
def test_colleagues_are_exactly_those_who_find_the_ticket(
    agent: User, colleague: User, lead: User, auditor: User, outsider: User, reviewed: Ticket, team: str | None
) -> None:
    free = User.objects.create_user("fay", "fay@example.org")
    Agent.objects.create(user=free)
    both = User.objects.create_user("bea", "bea@example.org")
    Agent.objects.create(user=both).teams.set(Team.objects.filter(key__in=("software", "billing")))
    User.objects.create_superuser("root", "root@example.org")
    powerful = User.objects.create_superuser("pia", "pia@example.org")
    Agent.objects.create(user=powerful).teams.set(Team.objects.filter(key="billing"))
    reviewed.team = Team.objects.get(key=team) if team else None
    reviewed.save()
    finding = {user for user in User.objects.all() if Ticket.objects.visible_to(user).filter(pk=reviewed.pk).exists()}
    assert len(finding) >= 6 - (team == "billing")
    assert set(colleagues_of(reviewed)) == finding


def test_who_has_left_is_no_colleague(agent: User, reviewed: Ticket) -> None:
    assert agent in colleagues_of(reviewed)
    User.objects.filter(pk=agent.pk).update(is_active=False)
    assert agent not in colleagues_of(reviewed)


def test_a_team_without_a_lead_is_led_by_those_who_lead_them_all(taxonomy: None, lead: User) -> None:
    software, billing = Team.objects.get(key="software"), Team.objects.get(key="billing")
    own = User.objects.create_user("liv", "liv@example.org")
    Agent.objects.create(user=own, role="lead").teams.add(software)
    assert (leads_of(software), leads_of(billing), leads_of(None)) == ([own], [lead], [lead])
    User.objects.filter(pk=lead.pk).update(is_active=False)
    boss = User.objects.create_user("bo", "bo@example.org")
    Agent.objects.create(user=boss, role="admin")
    assert leads_of(billing) == [boss]
