from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from tickets.models.person import Agent
from tickets.models.team import Team

VALID_FOR = timedelta(days=7)
SALT = "tickets.invitation"


def _nonce() -> str:
    return secrets.token_urlsafe(12)


def _in_a_week() -> datetime:
    return timezone.now() + VALID_FOR


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def undecided(self) -> Self:
        """Neither accepted nor taken back; some of them may have run out."""
        return self.filter(accepted_at=None, revoked_at=None)

    def pending(self) -> Self:
        return self.undecided().filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A place at the desk offered to an address: with a role and teams, for a week, once."""

    email = models.EmailField(max_length=254)  # in small letters
    role = models.CharField(max_length=10, choices=Agent.Role, default=Agent.Role.AGENT)
    teams = models.ManyToManyField(Team, blank=True, related_name="+")
    nonce = models.CharField(max_length=32, default=_nonce, editable=False)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(default=_in_a_week)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_an_address",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None), name="invitation_accepted_or_revoked"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_pending(self) -> bool:
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > timezone.now()

    @property
    def signed_id(self) -> str:
        """What the link carries. A renewed invitation has another, and the one before opens nothing any more."""
        return signing.dumps([self.pk, self.nonce], salt=SALT)

    @property
    def link(self) -> str:
        return f"{settings.BASE_URL}{reverse('tickets:invitation', args=[self.signed_id])}"

    @classmethod
    def of(cls, signed: str) -> Invitation | None:
        """The invitation that a link is of, whatever became of it; None for a forged or an earlier link."""
        try:
            pk, nonce = signing.loads(signed, salt=SALT)
        except (signing.BadSignature, ValueError, TypeError):
            return None
        return cls.objects.filter(pk=pk, nonce=nonce).first()

    def renew(self) -> None:
        """Another link for another week. The caller saves RENEWED."""
        self.nonce, self.expires_at = _nonce(), _in_a_week()


RENEWED = ("nonce", "expires_at", "role", "invited_by")
