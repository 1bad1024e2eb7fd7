from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property

from tickets.models.team import Team

if TYPE_CHECKING:
    from triage.models import User


class RequesterQuerySet(models.QuerySet["Requester"]):
    def with_address(self, email: str) -> Self:
        """Whoever has this address, however it is written. Not iexact: that asks for UPPER, the index is on LOWER."""
        return self.annotate(address=Lower("email")).filter(address=email.strip().lower())


class Requester(models.Model):
    """A customer: somebody who asks."""

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RequesterQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_requester_an_address")]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        return self.name or self.email


class Agent(models.Model):
    """What the desk knows of a staff user."""

    class Role(models.TextChoices):
        AGENT = "agent", "Agent"
        LEAD = "lead", "Lead"
        ADMIN = "admin", "Admin"
        AUDITOR = "auditor", "Auditor"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="agent")
    role = models.CharField(max_length=10, choices=Role, default=Role.AGENT)
    teams = models.ManyToManyField(Team, blank=True, related_name="agents")
    capacity = models.PositiveSmallIntegerField(default=25, help_text="Open tickets this person can carry.")
    available = models.BooleanField(default=True)
    given_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When a ticket was given last.")
    first_steps_dismissed = models.BooleanField(default=False, editable=False)

    def __str__(self) -> str:
        return self.user.label

    @classmethod
    def of(cls, user: User) -> Agent | None:
        """This person's place at the desk. Asked of the database once a request: the person remembers it."""
        try:
            return user.agent
        except cls.DoesNotExist:
            return None

    @cached_property
    def seen_teams(self) -> list[Team]:
        """The teams whose tickets an agent of some team sees: theirs, marked `own`, and Manual Review. Asked once."""
        own = Exists(Agent.teams.through.objects.filter(agent_id=self.pk, team_id=OuterRef("pk")))
        return list(Team.objects.annotate(own=own).filter(Q(own=True) | Q(key="manual_review")))

    @property
    def own_teams(self) -> list[Team]:
        return [team for team in self.seen_teams if team.own]  # type: ignore[attr-defined]

    @property
    def sees_everything(self) -> bool:
        """Leads, admins and auditors see every team's tickets, and so does an agent who belongs to no team."""
        return self.user.is_superuser or self.role != self.Role.AGENT or not self.own_teams

    @property
    def may_decide(self) -> bool:
        return self.role != self.Role.AUDITOR


def leads(user: User) -> bool:
    """Whether this person may do what concerns everybody's tickets: leads and those who administer."""
    agent = Agent.of(user)
    if not user.is_active or (agent is not None and agent.role == Agent.Role.AUDITOR):
        return False
    return user.is_superuser or (agent is not None and agent.role in (Agent.Role.LEAD, Agent.Role.ADMIN))


def administers(user: User) -> bool:
    """Whether this person invites people, gives roles and may change everything in the administration."""
    agent = Agent.of(user)
    if not user.is_active or (agent is not None and agent.role == Agent.Role.AUDITOR):
        return False
    return user.is_superuser or (agent is not None and agent.role == Agent.Role.ADMIN)


def oversees(user: User) -> bool:
    """Whether this person may look at who works here and what was done about it: admins and auditors."""
    agent = Agent.of(user)
    return administers(user) or (user.is_active and agent is not None and agent.role == Agent.Role.AUDITOR)
