from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.ticket import Ticket
from tickets.models.work import Work
from triage.models import User


class Mailing(Work):
    """One mail to a colleague about what is new for them: at once about one thing, or a day's digest.

    What it says is gathered when it is sent, so that nothing is mailed which was read at the desk meanwhile. A lease
    that ends while `sending` leaves it `unknown`, as with a reply: nobody gets the same mail twice by itself.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        SKIPPED = "skipped", "Not needed"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="mailings")
    digest = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sent_at=None) ^ Q(state="sent"), name="mailed_at_goes_with_sent"),
            models.CheckConstraint(condition=Q(lease_until=None) ^ Q(state="sending"), name="a_lease_while_mailing"),
            models.UniqueConstraint(
                # one that is tried again takes nothing new in
                fields=["user"],
                condition=Q(digest=True, state="queued", attempts=0),
                name="one_digest_that_waits",
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state="queued"), name="mailing_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="mailing_leased"),
        ]

    def __str__(self) -> str:
        return f"{'Digest' if self.digest else 'Mail'} to {self.user_id}, {self.get_state_display().lower()}"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unread(self) -> Self:
        return self.filter(read_at=None)

    def visible_to(self, user: User) -> Self:
        """Their own, of tickets that they may still see."""
        return self.filter(user=user, ticket__in=Ticket.objects.visible_to(user).order_by().values("pk"))


class Notification(models.Model):
    """Something about a ticket that a person should know. Of each kind at most one unread: the same again renews it."""

    class Kind(models.TextChoices):
        MENTION = "mention", "Somebody mentions you"
        ASSIGNED = "assigned", "A ticket is given to you"
        REPLY = "reply", "A customer answers on your ticket"
        ESCALATED = "escalated", "A ticket of your team is escalated"
        RETURNED = "returned", "A snoozed ticket is back"
        SLA_WARNING = "sla_warning", "A promised time is near"
        SLA_BREACH = "sla_breach", "A promised time has passed"
        RULE = "rule", "A rule tells you"
        UNDELIVERED = "undelivered", "A reply of yours did not arrive"
        FLOOD = "flood", "One sender floods the desk"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=12, choices=Kind)
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="notifications")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    text = models.CharField(max_length=300, blank=True)
    times = models.PositiveIntegerField(default=1, help_text="How often it happened since it was read last.")
    mailing = models.ForeignKey(Mailing, models.SET_NULL, null=True, blank=True, related_name="notifications")
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "ticket"], condition=Q(read_at=None), name="one_unread_of_a_kind"
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at", "-id"], name="notification_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, #{self.ticket_id}"

    @property
    def said(self) -> str:
        """What happened, in a few words that hold nothing of what anybody wrote."""
        machine = "Triage Desk" if self.kind == Notification.Kind.ESCALATED else "Somebody"
        who = self.by.label if self.by else machine
        words = _SAID[Notification.Kind(self.kind)].format(who=who)
        return words if self.times == 1 else f"{words}, {self.times} times"


_SAID = {
    Notification.Kind.MENTION: "{who} mentions you",
    Notification.Kind.ASSIGNED: "{who} gave you this ticket",
    Notification.Kind.REPLY: "The customer wrote again",
    Notification.Kind.ESCALATED: "{who} escalated this ticket",
    Notification.Kind.RETURNED: "This ticket is back from its snooze",
    Notification.Kind.SLA_WARNING: "A promised time is near",
    Notification.Kind.SLA_BREACH: "A promised time has passed",
    Notification.Kind.RULE: "A rule points you to this ticket",
    Notification.Kind.UNDELIVERED: "A reply did not arrive",
    Notification.Kind.FLOOD: "More tickets of this sender are held as spam",
}


class NotificationChoice(models.Model):
    """How a person wants to hear of one kind. Without a row it is at the desk alone."""

    class How(models.TextChoices):
        DESK = "desk", "At the desk"
        MAIL = "mail", "And by mail at once"
        DIGEST = "digest", "And in a daily mail"
        NONE = "none", "Not at all"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notification_choices")
    kind = models.CharField(max_length=12, choices=Notification.Kind)
    how = models.CharField(max_length=6, choices=How, default=How.DESK)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="one_choice_a_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.get_how_display().lower()}"
