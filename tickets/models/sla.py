from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from tickets.models.calendar import Calendar
from tickets.models.choices import Priority
from tickets.models.happenings import SLA_TELLS
from tickets.models.recount import ANEW
from tickets.models.source import Source
from tickets.models.team import Team
from tickets.models.ticket import Ticket

LONGEST = 366 * 24 * 60  # minutes
_minutes = (MinValueValidator(1), MaxValueValidator(LONGEST))


class SlaPolicy(models.Model):
    """The times that are promised to the tickets of a priority, a team and a source; what is empty means any.

    Of several policies that fit a ticket the one that names most holds; of those that name as many, one that names
    the source, then one that names the team. Minutes are working time by `calendar`, else by that of the ticket's
    team, else round the clock.
    """

    priority = models.CharField(max_length=2, choices=Priority, blank=True, default="")
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True, related_name="policies")
    source = models.ForeignKey(Source, models.CASCADE, null=True, blank=True, related_name="policies")
    calendar = models.ForeignKey(Calendar, models.PROTECT, null=True, blank=True, related_name="policies")
    response_minutes = models.PositiveIntegerField("first response", null=True, blank=True, validators=_minutes)
    next_response_minutes = models.PositiveIntegerField("next response", null=True, blank=True, validators=_minutes)
    resolution_minutes = models.PositiveIntegerField("resolution", null=True, blank=True, validators=_minutes)
    warn_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, default=80, help_text="Warn when so much of the time is used up."
    )
    warn_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Or: warn so many working minutes before."
    )

    class Meta:
        ordering = ["source__name", "team__name", "priority"]
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"
        triggers = ANEW
        constraints = [
            models.UniqueConstraint(
                fields=["priority", "team", "source"],
                nulls_distinct=False,
                name="one_policy_of_a_kind",
                violation_error_message="There is a policy for exactly these already. Change that one.",
            ),
            models.CheckConstraint(
                condition=~Q(response_minutes=None, next_response_minutes=None, resolution_minutes=None),
                name="a_policy_promises_something",
                violation_error_message="Promise at least one time.",
            ),
            models.CheckConstraint(
                condition=(Q(response_minutes=None) | Q(response_minutes__range=(1, LONGEST)))
                & (Q(next_response_minutes=None) | Q(next_response_minutes__range=(1, LONGEST)))
                & (Q(resolution_minutes=None) | Q(resolution_minutes__range=(1, LONGEST))),
                name="promised_within_a_year",
                violation_error_message="Promise from one minute to a year.",
            ),
            models.CheckConstraint(
                condition=Q(warn_minutes=None, warn_percent__isnull=False, warn_percent__range=(1, 99))
                | Q(warn_percent=None, warn_minutes__isnull=False, warn_minutes__gte=1),
                name="warned_in_one_way",
                violation_error_message="Warn either at 1 to 99 per cent, or some minutes before.",
            ),
        ]

    def __str__(self) -> str:
        named = [
            f"{self.priority} {self.get_priority_display()}".strip(),
            self.team,
            self.source and f"from {self.source}",
        ]
        return ", ".join(str(one) for one in named if one) or "All tickets"

    def clean(self) -> None:
        if self.response_minutes and self.resolution_minutes and self.resolution_minutes < self.response_minutes:
            raise ValidationError({"resolution_minutes": "A ticket is not resolved before it is answered."})

    @property
    def hours(self) -> float | None:
        """Within how many working hours the first answer is promised."""
        return self.response_minutes / 60 if self.response_minutes else None

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """How much it names; the highest of those that fit a ticket holds."""
        named = (self.source_id is not None, self.team_id is not None, bool(self.priority))
        return sum(named), named[0], named[1]

    def fits(self, ticket: Ticket) -> bool:
        return (
            (not self.priority or self.priority == ticket.priority)
            and self.team_id in (None, ticket.team_id)
            and self.source_id in (None, ticket.source_id)
        )


class SlaEvent(models.Model):
    """A promised time came near or passed. A promise is known by when it began and its minutes: one event a kind."""

    class Target(models.TextChoices):
        FIRST_RESPONSE = "first_response", "First response"
        NEXT_RESPONSE = "next_response", "Next response"
        RESOLUTION = "resolution", "Resolution"

    class Kind(models.TextChoices):
        WARNING = "warning", "Warning"
        BREACH = "breach", "Breach"

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="sla_events")
    target = models.CharField(max_length=14, choices=Target)
    kind = models.CharField(max_length=7, choices=Kind)
    began_at = models.DateTimeField()
    minutes = models.PositiveIntegerField()
    due_at = models.DateTimeField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = "SLA event"
        triggers = SLA_TELLS
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "target", "kind", "began_at", "minutes"], name="one_event_a_promise"
            )
        ]
        indexes = [models.Index(fields=["at"], name="sla_event_at")]

    def __str__(self) -> str:
        return f"{self.get_target_display()} of #{self.ticket_id}: {self.get_kind_display().lower()}"
