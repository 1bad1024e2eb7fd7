from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from tickets.models.source import Source

SCOPES = ("read", "write", "approve")
NOTED_EVERY = timedelta(minutes=1)
UNDONE_WITHIN = timedelta(hours=1)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def in_force(self) -> Self:
        """Neither revoked nor run out, and not of somebody who left."""
        now = timezone.now()
        lasting = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(lasting, Q(user=None) | Q(user__is_active=True), revoked_at=None)

    def of_secret(self, secret: str) -> ApiKey | None:
        """The key with these letters, or that had them before and has not let go of them yet; in force or not."""
        digest = ApiKey.digest_of(secret)
        before = self.filter(previous_digest=digest, previous_until__gt=timezone.now())
        return self.filter(digest=digest).first() or before.first()


class ApiKey(models.Model):
    """A key to the API. Only its digest is kept: the key itself has 256 random bits and is shown once."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # while programs are told the new one
    previous_digest = models.CharField(max_length=64, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
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
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["previous_digest"], condition=~Q(previous_digest=""), name="one_key_a_previous_digest"
            ),
            models.CheckConstraint(
                condition=Q(previous_until=None) ^ ~Q(previous_digest=""), name="a_previous_key_ends_some_time"
            ),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")), name="a_key_ends_after_its_beginning"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def mint() -> tuple[str, str, str]:
        """A new key with its prefix and digest: (key, prefix, digest)."""
        key = f"td_{secrets.token_urlsafe(32)}"
        return key, key[:10], ApiKey.digest_of(key)

    @staticmethod
    def digest_of(key: str) -> str:
        return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()

    def may(self, scope: str) -> bool:
        return self.revoked_at is None and scope in self.scopes

    @property
    def state(self) -> str:
        """revoked, gone (its person left), expired, or in force."""
        if self.revoked_at is not None:
            return "revoked"
        if self.user is not None and not self.user.is_active:
            return "gone"
        return "expired" if self.has_run_out else "in force"

    @property
    def has_run_out(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def older_until(self) -> datetime | None:
        """Until when the letters that it had before are still taken."""
        return self.previous_until if self.previous_until and self.previous_until > timezone.now() else None

    @property
    def undoable(self) -> bool:
        """Whether its revocation was a moment ago."""
        return self.revoked_at is not None and self.revoked_at > timezone.now() - UNDONE_WITHIN

    def rotate(self, grace: timedelta) -> str:
        """Take other letters; the present ones are taken for `grace` longer. Returns the new key. The caller saves."""
        self.previous_digest, self.previous_until = "", None
        if grace:
            self.previous_digest, self.previous_until = self.digest, timezone.now() + grace
        key, self.prefix, self.digest = self.mint()
        return key

    def touch(self, address: str | None) -> None:
        """Note the use, at most once a minute: a busy key must not write a row a request."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > NOTED_EVERY:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now, last_used_from=address)
