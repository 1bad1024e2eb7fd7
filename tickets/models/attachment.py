from __future__ import annotations

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.urls import reverse

from tickets.models.message import Message
from tickets.models.ticket import Ticket

NAME_LIMIT = 200
# What a browser may show in its place: pixels that no program is in.
SHOWN_IN_PLACE = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LEFT = """
    INSERT INTO tickets_leftfile (path, at) VALUES (OLD.file, now());
    RETURN NULL;
"""


def _place(attachment: Attachment, name: str) -> str:
    """Where its bytes lie: nothing of what a stranger called it is part of that."""
    return f"attachments/{attachment.ticket.public_id}/{uuid.uuid4().hex}"


class Attachment(models.Model):
    """A file that came or goes with a message. Written once; what it is was read off its bytes, not off its name.

    With its row goes its file: the trigger leaves the path for tickets.actions.attaching.sweep().
    """

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(Message, models.CASCADE, null=True, blank=True, related_name="attachments")
    file = models.FileField(upload_to=_place, max_length=200)
    name = models.CharField(max_length=NAME_LIMIT)
    content_type = models.CharField(max_length=127)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    content_id = models.CharField(max_length=255, blank=True, help_text="What an HTML mail calls it by.")
    inline = models.BooleanField(default=False, help_text="Part of the text of a mail rather than beside it.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager["Attachment"]()

    class Meta:
        ordering = ["pk"]
        triggers = [pgtrigger.Trigger(name="file_left", when=pgtrigger.After, operation=pgtrigger.Delete, func=_LEFT)]
        constraints = [
            models.CheckConstraint(condition=~Q(name="") & ~Q(file=""), name="an_attachment_is_a_named_file"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:attachment", args=[self.ticket_id, self.pk])

    @property
    def can_be_shown(self) -> bool:
        return self.content_type in SHOWN_IN_PLACE


class LeftFile(models.Model):
    """The path of a stored file whose row is gone, until the file is gone as well."""

    path = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.path
