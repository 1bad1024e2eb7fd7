from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models

from tickets.models import Agent
from triage.models import User


class SummaryQuerySet(models.QuerySet["Summary"]):
    def visible_to(self, user: User) -> Self:
        """What a person wrote; those who see every team's tickets see everybody's: its figures are the writer's."""
        if user.is_superuser:
            return self
        agent = Agent.of(user)
        if agent is None:
            return self.none()
        return self if agent.sees_everything else self.filter(by=user)


class Summary(models.Model):
    """A report on one stretch of days: the figures as they were then, and the story told of them. Written once."""

    class Engine(models.TextChoices):
        MODEL = "model", "Model"
        TEMPLATE = "template", "Template"

    period = models.CharField(max_length=10)
    first_day = models.DateField(null=True)
    last_day = models.DateField()
    figures = models.JSONField(help_text="The figures the story was written from, as the database gave them.")
    text = models.TextField()
    engine = models.CharField(max_length=10, choices=Engine)
    model = models.CharField(max_length=100, blank=True)
    call_id = models.BigIntegerField(null=True)
    unmatched = models.JSONField(default=list, help_text="Numbers of the text that no figure bears out.")
    note = models.CharField(max_length=300, blank=True, help_text="Why a template told it, when a model was wanted.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="summaries")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SummaryQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "summaries"
        constraints = [
            models.CheckConstraint(condition=~models.Q(text=""), name="a_summary_has_a_text"),
        ]

    def __str__(self) -> str:
        return f"Summary of {self.last_day:%Y-%m-%d}, {self.get_engine_display().lower()}"
