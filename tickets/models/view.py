from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from tickets.models.person import Agent
from tickets.models.team import Team

if TYPE_CHECKING:
    from triage.models import User


class ViewQuerySet(models.QuerySet["View"]):
    def of(self, user: User) -> Self:
        """One's own, those of one's teams, and everybody's."""
        teams = Agent.objects.filter(user=user).values("teams")
        return self.filter(Q(owner=user) | Q(scope=View.Scope.EVERYONE) | Q(scope=View.Scope.TEAM, team__in=teams))


class View(models.Model):
    """A saved address of the queue: its filters, order and view under a name."""

    class Scope(models.TextChoices):
        OWN = "own", "Mine alone"
        TEAM = "team", "A team\u2019s"
        EVERYONE = "everyone", "Everybody\u2019s"

    name = models.CharField(max_length=60)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="views")
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.OWN)
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True, related_name="views")
    query = models.CharField(max_length=2000, help_text="The queue's address after its question mark.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ViewQuerySet.as_manager()

    class Meta:
        ordering = [Lower("name")]
        constraints = [
            models.CheckConstraint(condition=Q(team=None) ^ Q(scope="team"), name="a_team_goes_with_its_scope"),
            models.UniqueConstraint("owner", Lower("name"), name="one_view_a_name"),
        ]

    def __str__(self) -> str:
        return self.name
