from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.delivery import Delivery
from tickets.models.message import Message
from tickets.models.source import Source
from tickets.models.ticket import Ticket
from tickets.models.work import Work
from tickets.sealed import SealedField


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    def due(self) -> Self:
        """What is to be read now and is in nobody's hands."""
        now = timezone.now()
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        return self.filter(free, source__active=True, not_before__lte=now)


class Mailbox(Work):
    """A mailbox that is read by IMAP, the door of one source. The row is the work of reading it, again and again.

    `last_uid` is the highest UID up to which everything is stored; none: only what is unseen there is read first.
    """

    class Security(models.TextChoices):
        TLS = "tls", "TLS"
        STARTTLS = "starttls", "STARTTLS"
        NONE = "none", "None"

    class SignIn(models.TextChoices):
        PASSWORD = "password", "Password"
        OAUTH = "oauth", "OAuth"

    class Afterwards(models.TextChoices):
        SEEN = "seen", "Mark as read"
        MOVE = "move", "Move to a folder"

    source = models.OneToOneField(Source, models.CASCADE, related_name="mailbox")
    address = models.EmailField(max_length=254, help_text="What customers write to.")
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=993, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    security = models.CharField(max_length=8, choices=Security, default=Security.TLS)
    username = models.CharField(max_length=254)
    sign_in = models.CharField(max_length=8, choices=SignIn, default=SignIn.PASSWORD)
    secret = SealedField(help_text="Password or refresh token.")
    token_url = models.URLField(max_length=500, blank=True, help_text="Where a refresh token is exchanged.")
    client_id = models.CharField(max_length=200, blank=True)
    client_secret = SealedField()
    folder = models.CharField(max_length=200, default="INBOX")
    afterwards = models.CharField(max_length=4, choices=Afterwards, default=Afterwards.SEEN)
    move_to = models.CharField(max_length=200, blank=True)
    every = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(10), MaxValueValidator(86_400)], help_text="Seconds between readings."
    )
    verifier = models.CharField(
        max_length=253, blank=True, help_text="Whose Authentication-Results are believed: the name of its mail server."
    )
    uid_validity = models.PositiveBigIntegerField(null=True, editable=False)
    last_uid = models.PositiveBigIntegerField(null=True, editable=False)
    read_at = models.DateTimeField(null=True, editable=False, help_text="When it was last read to its end.")

    objects = MailboxQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "mailboxes"
        ordering = ["address", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["host", "username", "folder"], name="one_reader_a_folder"),
            models.CheckConstraint(condition=Q(afterwards="seen") | ~Q(move_to=""), name="moved_to_a_folder"),
        ]
        indexes = [models.Index(fields=["not_before"], name="mailbox_due")]

    def __str__(self) -> str:
        return self.address

    def get_absolute_url(self) -> str:
        return reverse("tickets:mailbox", args=[self.pk])

    @property
    def next_reading(self) -> timedelta:
        """How long it rests after a reading: as chosen, and longer each time after errors."""
        return timedelta(seconds=min(max(self.every, 1) * 2 ** min(self.attempts, 6), max(self.every, 3600)))


class Mail(models.Model):
    """One e-mail that came in, and what became of it; the same mail is one row, however often and wherever it comes.

    The words of the ticket's thread stand in its message; here is what else the mail held.
    """

    class Outcome(models.TextChoices):
        OPENED = "opened", "Opened a ticket"
        ADDED = "added", "Added to a ticket"
        NOTED = "noted", "Noted on a ticket"  # an automatic answer: nobody is to do anything
        BOUNCE = "bounce", "Reports a mail of ours"
        SKIPPED = "skipped", "Not taken"
        TOO_LARGE = "too_large", "Too large"
        FAILED = "failed", "Could not be read"

    source = models.ForeignKey(Source, models.CASCADE, related_name="mails")
    external_id = models.CharField(max_length=64)
    identity = models.CharField(max_length=255, blank=True, help_text="Its Message-ID, without brackets.")
    outcome = models.CharField(max_length=10, choices=Outcome)
    kind = models.CharField(max_length=10, help_text="A value of tickets.channels.email.kinds.Kind.")
    ticket = models.ForeignKey(Ticket, models.CASCADE, null=True, blank=True, related_name="mails")
    message = models.OneToOneField(Message, models.CASCADE, null=True, blank=True, related_name="mail")
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True, blank=True, related_name="reports")
    sender = models.CharField(max_length=254, blank=True)
    sender_name = models.CharField(max_length=200, blank=True)
    to = ArrayField(models.CharField(max_length=254), default=list)
    cc = ArrayField(models.CharField(max_length=254), default=list)
    subject = models.CharField(max_length=300, blank=True)
    text = models.TextField(blank=True, help_text="All of its text, where the message holds a part of it.")
    html = models.TextField(blank=True, help_text="Its HTML, made safe.")
    notes = ArrayField(models.CharField(max_length=300), default=list)
    size = models.PositiveBigIntegerField(default=0)
    written_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    uid = models.PositiveBigIntegerField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["external_id"], name="one_mail_whatever_the_door"),
            models.CheckConstraint(
                condition=~Q(outcome__in=("opened", "added", "noted")) | ~Q(ticket=None), name="taken_into_a_ticket"
            ),
        ]
        indexes = [
            models.Index(fields=["identity"], condition=~Q(identity=""), name="mail_by_identity"),
            models.Index(
                fields=["source", "-id"],
                condition=Q(outcome__in=("skipped", "too_large", "failed")),
                name="mail_not_taken",
            ),
        ]

    def __str__(self) -> str:
        return f"Mail of {self.sender or 'nobody'}, {self.get_outcome_display().lower()}"


class Acknowledgement(Work):
    """The fixed words that tell a customer that their request is here: one a ticket, by mail, in its source's name."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="acknowledgement")
    recipient = models.CharField(max_length=254)
    identity = models.CharField(max_length=255, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sent_at=None) ^ Q(state="sent"), name="receipt_sent_at_goes_with_sent"),
            models.CheckConstraint(condition=Q(lease_until=None) ^ Q(state="sending"), name="receipt_leased_sending"),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state="queued"), name="receipt_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="receipt_leased"),
        ]

    def __str__(self) -> str:
        return f"Receipt of #{self.ticket_id}, {self.get_state_display().lower()}"
