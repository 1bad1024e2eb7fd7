from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tickets.models.clock import MOVED_TRIGGERS
from tickets.models.happenings import MESSAGE_TELLS
from tickets.models.person import Requester
from tickets.models.search import MESSAGE_TRIGGERS
from tickets.models.ticket import Ticket

if TYPE_CHECKING:
    from tickets.models.comment_version import CommentVersion


# A message that is split off takes its files along.
_FILES_FOLLOW = pgtrigger.Trigger(
    name="files_follow",
    when=pgtrigger.After,
    operation=pgtrigger.Update,
    condition=pgtrigger.Condition("OLD.ticket_id IS DISTINCT FROM NEW.ticket_id"),
    func="UPDATE tickets_attachment SET ticket_id = NEW.ticket_id WHERE message_id = NEW.id; RETURN NULL;",
)


class MessageQuerySet(models.QuerySet["Message"]):
    def conversation(self) -> Self:
        """What customer and desk said to each other, oldest first; no comments, no notes of the system."""
        return self.filter(kind__in=(Message.Kind.INBOUND, Message.Kind.OUTBOUND)).order_by("pk")

    def for_customers(self) -> Self:
        """The conversation as far as it has left the desk: without a reply that can still be taken back."""
        waits = Q(delivery__state="queued", delivery__attempts=0, delivery__not_before__gt=timezone.now())
        return self.conversation().exclude(waits)

    def thread(self, ticket: Ticket) -> Self:
        """Everything that belongs to a ticket: its own, and that of the tickets merged into it."""
        return self.filter(ticket__in=Ticket.objects.filter(Q(pk=ticket.pk) | Q(merged_into=ticket.pk)).values("pk"))

    def with_customer(self, ticket: Ticket) -> Self:
        """Of its thread what its own customer has to do with, oldest first.

        Of a merged ticket of another customer nothing is among it: they must not be quoted to each other, by the
        machine neither.
        """
        same = Q(merged_into=ticket.pk, requester=ticket.requester_id) if ticket.requester_id else Q(pk=None)
        return self.filter(ticket__in=Ticket.objects.filter(Q(pk=ticket.pk) | same).values("pk")).order_by("pk")

    def for_page(self) -> Self:
        """With what a ticket's page shows of them, in the order of time; `has_files` spares asking most for theirs."""
        from tickets.models.attachment import Attachment

        has_files = models.Exists(Attachment.objects.filter(message=models.OuterRef("pk")))
        shown = self.select_related("author", "requester", "delivery", "github", "mail")
        shown = shown.defer("mail__text", "mail__html").annotate(has_files=has_files)
        return shown.order_by("created_at", "pk")


class Message(models.Model):
    """One text in a ticket's thread. Written once; only a comment may be corrected, and keeps what it said before."""

    class Kind(models.TextChoices):
        INBOUND = "inbound", "From the customer"
        OUTBOUND = "outbound", "Reply"
        COMMENT = "comment", "Internal comment"
        SYSTEM = "system", "Note"

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind)
    text = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    author_name = models.CharField(max_length=100, blank=True, help_text="Who wrote it, where that is no user.")
    requester = models.ForeignKey(Requester, models.PROTECT, null=True, blank=True, related_name="messages")
    external_id = models.CharField(max_length=255, blank=True)
    message_id = models.CharField(max_length=255, blank=True, help_text="Message-ID of the mail, without brackets.")
    created_at = models.DateTimeField(db_index=True)
    origin = models.ForeignKey(
        Ticket,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The ticket that it was written on, where it was split off that.",
    )
    edited_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        triggers = [*MESSAGE_TRIGGERS, *MOVED_TRIGGERS, _FILES_FOLLOW, *MESSAGE_TELLS]
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "external_id"], condition=~Q(external_id=""), name="one_message_an_external_id"
            ),
            models.CheckConstraint(condition=Q(edited_at=None) | Q(kind="comment"), name="only_a_comment_is_edited"),
        ]
        indexes = [
            models.Index(fields=["message_id"], condition=~Q(message_id=""), name="message_by_mail_id"),
            models.Index(fields=["origin"], condition=~Q(origin=None), name="message_by_origin"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def earlier(self) -> models.QuerySet[CommentVersion]:
        """What a comment said before it was edited, oldest first."""
        return self.versions.select_related("by").order_by("pk")

    @property
    def author_label(self) -> str:
        if self.author:
            return self.author.label
        if self.author_name:
            return self.author_name
        if self.requester:
            return self.requester.label
        if self.kind in (self.Kind.COMMENT, self.Kind.OUTBOUND):
            return "A former colleague"
        return "Triage Desk" if self.kind == self.Kind.SYSTEM else "Customer"
