from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from tickets.models.choices import Priority
from tickets.models.person import Agent, leads
from tickets.models.team import Team

if TYPE_CHECKING:
    from triage.models import User

MACRO_LIMIT = 20_000  # characters of its text


class MacroQuerySet(models.QuerySet["Macro"]):
    def of(self, user: User) -> Self:
        """One's own, those of one's teams, and everybody's; a lead sees what teams share, too."""
        shared = Q(owner=user) | Q(scope=Macro.Scope.EVERYONE)
        if leads(user):
            return self.filter(shared | Q(scope=Macro.Scope.TEAM))
        return self.filter(shared | Q(scope=Macro.Scope.TEAM, team__in=Agent.objects.filter(user=user).values("teams")))

    def active(self) -> Self:
        return self.filter(active=True)


class Macro(models.Model):
    """A text for replies, with variables (tickets.variables), and what else a person does along with it.

    Putting one into a reply sends nothing.
    """

    class Scope(models.TextChoices):
        OWN = "own", "Mine alone"
        TEAM = "team", "A team\u2019s"
        EVERYONE = "everyone", "Everybody\u2019s"

    name = models.CharField(max_length=60)
    text = models.TextField(max_length=MACRO_LIMIT)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="macros"
    )
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.OWN)
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True, related_name="macros")
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True, help_text="Added to the ticket.")
    priority = models.CharField(max_length=2, choices=Priority, blank=True, default="", help_text="Empty: as it is.")
    keep_open = models.BooleanField(default=False, help_text="Once sent, the ticket waits for the customer.")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MacroQuerySet.as_manager()

    class Meta:
        ordering = [Lower("name")]
        constraints = [
            models.CheckConstraint(condition=Q(team=None) ^ Q(scope="team"), name="macro_team_goes_with_its_scope"),
            models.CheckConstraint(condition=~Q(text=""), name="macro_has_a_text"),
            models.UniqueConstraint(
                "owner", Lower("name"), condition=Q(scope="own", active=True), name="macro_one_a_name_of_ones_own"
            ),
            models.UniqueConstraint(
                Lower("name"), condition=~Q(scope="own") & Q(active=True), name="macro_one_shared_a_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:macro", args=[self.pk])

    def may_be_changed_by(self, user: User) -> bool:
        """Whoever made it, and leads where it is shared."""
        return self.owner_id == user.pk or (self.scope != self.Scope.OWN and leads(user))
