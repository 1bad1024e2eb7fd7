from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.happenings import BELL_TRIGGERS, BUDGET_TRIGGERS
from tickets.models.source import Source
from tickets.models.team import Team
from tickets.models.ticket import Ticket
from tickets.models.work import Work
from triage import vault
from triage.models.budget import Spending

ROTATION = timedelta(hours=24)  # for so long a secret that was renewed is still signed with


class HookEvent(models.TextChoices):
    """What a webhook may subscribe to. The words say when it happens."""

    CREATED = "ticket.created", "A ticket came in"
    TRIAGED = "ticket.triaged", "A ticket was read, with a suggestion for each field"
    UPDATED = "ticket.updated", "A field of a ticket changed, whoever changed it"
    ESCALATED = "ticket.escalated", "A ticket was escalated"
    REPLIED = "ticket.replied", "A reply left for the customer"
    RESOLVED = "ticket.resolved", "A ticket was resolved or closed"
    REOPENED = "ticket.reopened", "A ticket that had ended is open again"
    COMMENTED = "comment.created", "An internal comment was written"
    HANDOFF = "handoff.initiated", "A customer asked for a person"
    SLA_WARNING = "sla.warning", "A promised time is near"
    SLA_BREACHED = "sla.breached", "A promised time has passed"
    BUDGET_WARNING = "budget.warning", "A step of the model's monthly budget was reached"


OF_SPAM = "Its ticket is held as spam."  # the `error` of such a call
RULE_FIRED, PING = "rule.fired", "ping"  # sent without a subscription


class Webhook(models.Model):
    """An address that is told of tickets: of what it subscribes to, and by rules. Its secret is shown once."""

    class Format(models.TextChoices):
        PLAIN = "plain", "JSON"
        SLACK = "slack", "Slack-compatible message"
        TEAMS = "teams", "Teams-compatible card"

    name = models.CharField(max_length=60, unique=True)
    url = models.URLField(max_length=500)
    format = models.CharField(max_length=5, choices=Format, default=Format.PLAIN)
    events = ArrayField(models.CharField(max_length=30, choices=HookEvent), default=list, blank=True)
    teams = models.ManyToManyField(Team, blank=True, help_text="Only tickets of these; none: of all.")
    sources = models.ManyToManyField(Source, blank=True, help_text="Only tickets from these; none: from all.")
    secret = models.TextField(editable=False, help_text="Encrypted.")
    former_secret = models.TextField(editable=False, blank=True, help_text="Encrypted.")
    former_until = models.DateTimeField(null=True, editable=False)
    active = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, editable=False, help_text="Nothing was taken since.")
    disabled_at = models.DateTimeField(null=True, editable=False, help_text="Its calls are held back since.")
    disabled_why = models.CharField(max_length=300, blank=True, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(former_secret="") ^ Q(former_until__isnull=False), name="webhook_a_former_secret_ends"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:webhook", args=[self.pk])

    def renew_secret(self, secret: str) -> None:
        """Sign with another from now on, and with the one before beside it for a day. The caller saves SECRETS."""
        if self.secret:
            self.former_secret, self.former_until = self.secret, timezone.now() + ROTATION
        self.secret = vault.encrypt(secret)

    def open_secrets(self) -> list[str]:
        """The one in force, then the former one while it lasts. Raises triage.vault.VaultError."""
        rotating = self.former_until is not None and self.former_until > timezone.now()
        return [vault.decrypt(one) for one in (self.secret, self.former_secret if rotating else "") if one]

    @property
    def is_rotating(self) -> bool:
        return self.former_until is not None and self.former_until > timezone.now()

    @property
    def first_state(self) -> str:
        """What a new call to it is: to be sent, or held back for as long as the webhook is disabled."""
        return WebhookCall.State.HELD if self.disabled_at else WebhookCall.State.QUEUED

    def disable(self, why: str) -> None:
        """Hold its calls back from now on. The caller saves DISABLING."""
        self.disabled_at, self.disabled_why = timezone.now(), why[:300]

    def enable(self) -> None:
        """Send again, as one that never failed. The caller saves DISABLING."""
        self.disabled_at, self.disabled_why, self.failing_since = None, "", None


SECRETS = ("secret", "former_secret", "former_until")
DISABLING = ("disabled_at", "disabled_why", "failing_since")


class WebhookCallQuerySet(models.QuerySet["WebhookCall"]):
    def due(self, now: datetime) -> Self:
        free = Q(state=WebhookCall.State.QUEUED) | Q(state=WebhookCall.State.SENDING, lease_until__lt=now)
        return self.filter(free, not_before__lte=now)

    def hold(self) -> int:
        """Send none of those that wait, until somebody replays them. Returns how many."""
        return self.filter(state=WebhookCall.State.QUEUED).update(state=WebhookCall.State.HELD)

    def hold_as_spam(self, tickets: Iterable[Ticket]) -> int:
        """Tell nobody of these tickets while they are held as spam. Returns how many calls waited."""
        waiting = self.filter(ticket__in=tickets, state=WebhookCall.State.QUEUED)
        return waiting.update(state=WebhookCall.State.HELD, error=OF_SPAM)

    def let_in(self, tickets: Iterable[Ticket]) -> int:
        """Tell of these tickets what was held back while they were spam, where webhooks are on. Returns how many."""
        held = self.filter(ticket__in=tickets, state=WebhookCall.State.HELD, error=OF_SPAM)
        held.exclude(webhook__active=True, webhook__disabled_at=None).update(error="")  # as all that these are not told
        return held.again()

    def again(self) -> int:
        """Queue them anew with the same id and body, as if they had never been tried. Returns how many.

        One that waits for its next attempt is sent now; one that is due or being sent is left alone, and so is what
        tells of spam.
        """
        now, queued = timezone.now(), WebhookCall.State.QUEUED
        ended = Q(state__in=(WebhookCall.State.SENT, WebhookCall.State.FAILED, WebhookCall.State.HELD))
        idle = self.filter(ended | Q(state=queued, not_before__gt=now), Q(ticket=None) | Q(ticket__spam=False))
        return idle.update(state=queued, attempts=0, error="", sent_at=None, not_before=now, queued_at=now)


class WebhookCall(Work):
    """One message to an address, written by the database's trigger with what it tells of (tickets.models.happenings).

    Tried until it is taken, or given up. What it says is gathered when it is sent first, and kept: every attempt
    sends the same bytes under the same id, by which a receiver tells what comes twice.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        HELD = "held", "Held back"

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="calls")
    ticket = models.ForeignKey(Ticket, models.CASCADE, null=True, related_name="+")
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)  # of the event: every webhook is told the same
    event = models.CharField(max_length=30, default=RULE_FIRED)
    # what happened, by the keys of rows: nothing personal, the ticket's fields come when it is sent
    about = models.JSONField(default=dict)
    body = models.TextField(blank=True, editable=False)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(default=timezone.now, help_text="It is given up a day after.")
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookCallQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        triggers = BELL_TRIGGERS
        constraints = [
            models.UniqueConstraint(fields=["webhook", "uuid"], name="webhook_is_told_once"),
            models.CheckConstraint(condition=Q(sent_at=None) ^ Q(state="sent"), name="webhook_sent_at_goes_with_sent"),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="sending"), name="webhook_a_lease_while_sending"
            ),
        ]
        indexes = [
            models.Index(
                fields=["webhook", "not_before"], condition=Q(state__in=("queued", "sending")), name="webhook_due"
            ),
            models.Index(fields=["webhook", "-id"], name="webhook_log"),
            models.Index(fields=["created_at"], name="webhook_call_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.uuid}, {self.get_state_display().lower()}"

    def get_absolute_url(self) -> str:
        return reverse("tickets:webhook-call", args=[self.webhook_id, self.pk])

    @property
    def is_under_way(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.SENDING)

    @property
    def can_be_sent_again(self) -> bool:
        waits = self.state == self.State.QUEUED and self.not_before > timezone.now()
        return waits or not self.is_under_way

    @property
    def latest_try(self) -> WebhookAttempt | None:
        return max(self.tries.all(), key=lambda one: one.pk, default=None)


class WebhookAttempt(models.Model):
    """One try: written before anything is sent, completed after."""

    call = models.ForeignKey(WebhookCall, models.CASCADE, related_name="tries")
    began_at = models.DateTimeField(default=timezone.now)
    milliseconds = models.PositiveIntegerField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="What the address answered.")
    error = models.CharField(max_length=300, blank=True)
    answer = models.CharField(max_length=500, blank=True, help_text="The beginning of what it answered.")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.status or self.error or 'under way'}"


class BudgetStep(Spending):
    """The running total of a month, as webhooks are told of it."""

    class Meta:
        proxy = True
        triggers: list[pgtrigger.Trigger] = BUDGET_TRIGGERS
