from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tickets.models.source import Source

SCOPES = ("read", "write", "approve")


class ApiKey(models.Model):
    """A key to the API. Only its digest is kept: the key itself has 256 random bits and is shown once."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=[(scope, scope) for scope in SCOPES]))
    source = models.ForeignKey(Source, models.PROTECT, related_name="api_keys")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="api_keys",
        help_text="The person in whose name the key approves. Needed for the scope approve.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def mint() -> tuple[str, str, str]:
        """A new key with its prefix and digest: (key, prefix, digest)."""
        key = f"td_{secrets.token_urlsafe(32)}"
        return key, key[:10], ApiKey.digest_of(key)

    @staticmethod
    def digest_of(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    def may(self, scope: str) -> bool:
        return self.revoked_at is None and scope in self.scopes

    def touch(self) -> None:
        """Note the use, at most once a minute: a busy key must not write a row a request."""
        now = timezone.now()
        if self.last_used_at is None or (now - self.last_used_at).total_seconds() > 60:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
