from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.ticket import Ticket
from tickets.models.work import Work

if TYPE_CHECKING:
    from tickets.rules.spec import RuleSpec


class RuleQuerySet(models.QuerySet["Rule"]):
    def in_force(self, when: str) -> Self:
        return self.filter(active=True, retired=False, when=when).order_by("position", "pk")


class Rule(models.Model):
    """When something happens to a ticket, and conditions hold of it, things are done to it.

    What it says is the spec of its `version`; every version is kept as a row (RuleVersion).
    """

    class When(models.TextChoices):
        CREATED = "created", "A ticket came in"
        TRIAGED = "triaged", "It was read"
        CHANGED = "changed", "It was changed"
        IDLE = "idle", "Nothing happened for a while"

    name = models.CharField(max_length=80)
    position = models.PositiveIntegerField(default=0, help_text="Rules for the same are judged in this order.")
    active = models.BooleanField(default=False)
    retired = models.BooleanField(default=False)
    when = models.CharField(max_length=8, choices=When)
    idle_minutes = models.PositiveIntegerField(null=True, blank=True)
    idle_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="Looked at until then.")
    version = models.PositiveIntegerField(default=1)
    spec = models.JSONField(help_text="A tickets.rules.spec.RuleSpec.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(idle_minutes=None) ^ Q(when="idle"), name="rule_idle_has_its_minutes"),
            models.CheckConstraint(condition=~Q(active=True, retired=True), name="rule_retired_is_not_active"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:rule", args=[self.pk])

    @property
    def actor(self) -> str:
        return f"rule:{self.pk}"

    @property
    def said(self) -> RuleSpec:
        """Raises pydantic.ValidationError where what is stored is no rule any more."""
        from tickets.rules.spec import RuleSpec

        return RuleSpec.model_validate(self.spec)


class RuleVersion(models.Model):
    """What a rule said, from a moment on. Written once."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=80)
    spec = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="rule_one_of_a_version")]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"


class RuleCauseQuerySet(models.QuerySet["RuleCause"]):
    def due(self, now: datetime) -> Self:
        free = Q(state=RuleCause.State.WAITING) | Q(state=RuleCause.State.WORKING, lease_until__lt=now)
        return self.filter(free, not_before__lte=now)


class RuleCause(Work):
    """Something happened to a ticket that rules may be for. The row is the work, written by the database's trigger.

    So it is there exactly when what happened is, whoever did it and by whatever way. Of those that no rule held of
    nothing is kept.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        WORKING = "working", "Being judged"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, choices=Rule.When)
    of = models.BigIntegerField(null=True, help_text="The event's or suggestion's primary key.")
    actor = models.TextField(default="", blank=True)
    after = models.BigIntegerField(null=True, help_text="The event before what changed. Empty: the one before `of`.")
    chain = ArrayField(models.BigIntegerField(), default=list, help_text="The rules that led here, first to last.")
    depth = models.PositiveSmallIntegerField(default=0, help_text="How often rules have followed one another.")
    rule = models.ForeignKey(Rule, models.CASCADE, null=True, related_name="+", help_text="Of an idle ticket alone.")
    since = models.DateTimeField(null=True, help_text="Since when it is idle.")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)

    objects = RuleCauseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "of"], condition=~Q(of=None), name="rule_cause_once"),
            models.UniqueConstraint(
                fields=["rule", "ticket", "since"], condition=Q(kind="idle"), name="rule_cause_once_idle"
            ),
            models.CheckConstraint(condition=Q(rule=None) ^ Q(kind="idle"), name="rule_cause_idle_names_its_rule"),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="working"), name="rule_cause_a_lease_while_working"
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=("waiting", "working")), name="rule_cause_due")
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} {self.kind}"


class RuleFiring(models.Model):
    """A rule held of a ticket, once for each cause: what it did, or why it did nothing."""

    class State(models.TextChoices):
        DONE = "done", "Done"
        HELD_BACK = "held_back", "Held back"
        FAILED = "failed", "Failed"

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="firings")
    version = models.PositiveIntegerField()
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="firings")
    cause = models.ForeignKey(RuleCause, models.CASCADE, related_name="firings")
    state = models.CharField(max_length=9, choices=State)
    # [{words, before, after, note}]: what each deed did; a note says why one did nothing
    did = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["rule", "ticket", "cause"], name="rule_fires_once_a_cause")]
        indexes = [models.Index(fields=["rule", "-created_at"], name="rule_fired")]

    def __str__(self) -> str:
        return f"{self.rule} on #{self.ticket_id}"

    def end(self, state: State, note: str = "") -> Self:
        """Store it with what became of it; once."""
        self.state, self.note = state, note
        self.save(force_insert=True)
        return self
