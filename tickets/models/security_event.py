from __future__ import annotations

import pgtrigger
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from tickets.models.person import leads
from triage.models import User


class SecurityEvent(models.Model):
    """What was done about people and how they get in: written by triggers of the tables concerned, never changed.

    `noun` and `verb` say what happened (person, role, team, factor, account, invitation, key, rule; added, changed,
    removed), `before` and `after` hold what is different, without secrets. Actor and correlation id come from the
    connection's context, as in `Event`; a change made past the application belongs to "database".
    """

    at = models.DateTimeField(db_default=Now())
    noun = models.CharField(max_length=20)
    verb = models.CharField(max_length=10)
    person = models.BigIntegerField(null=True)  # primary key of the user concerned, who may be gone
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    actor = models.CharField(max_length=150)
    correlation_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["person", "-id"], name="security_by_person")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.noun} {self.verb}"


class SignInPolicy(models.Model):
    """Of whom a second factor is asked: one row, or none for nobody."""

    NOBODY, ADMINS, EVERYBODY = "nobody", "admins", "everybody"
    CHOICES = ((NOBODY, "Nobody"), (ADMINS, "Admins and leads"), (EVERYBODY, "Everybody"))

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    second_factor = models.CharField(max_length=10, choices=CHOICES, default=NOBODY)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_sign_in_policy")]

    def __str__(self) -> str:
        return self.get_second_factor_display()

    @classmethod
    def now(cls) -> str:
        held = cls.objects.values_list("second_factor", flat=True).first()
        return held or cls.NOBODY

    @classmethod
    def asks(cls, policy: str, user: User) -> bool:
        """Whether a policy asks a second factor of this person."""
        return policy == cls.EVERYBODY or (policy == cls.ADMINS and leads(user))
