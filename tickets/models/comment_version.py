from __future__ import annotations

from django.conf import settings
from django.db import models

from tickets.models.message import Message


class CommentVersion(models.Model):
    """What a comment said before it was edited. Only added to."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="versions")
    text = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    replaced_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Comment {self.message_id} until {self.replaced_at:%Y-%m-%d %H:%M}"
