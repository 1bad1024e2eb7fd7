from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils import timezone

from triage.models import User


def _known_zone(name: str) -> None:
    if name:
        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError) as error:
            raise ValidationError("Choose a time zone of the list.", code="not_a_zone") from error


class Habits(models.Model):
    """How a person works: where their day begins and ends, and what their mails may hold."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="habits")
    time_zone = models.CharField(max_length=64, blank=True, validators=[_known_zone], help_text="Empty: the desk's.")
    digest_hour = models.PositiveSmallIntegerField(default=8, validators=[MaxValueValidator(23)])
    # {density: "compact", hidden: [columns], split: true}: how the queue looks
    queue = models.JSONField(default=dict, blank=True, editable=False)
    quoted = models.BooleanField(default=False, help_text="Mails may hold what colleagues and customers wrote.")

    class Meta:
        verbose_name_plural = "habits"

    def __str__(self) -> str:
        return f"Habits of {self.user_id}"

    @classmethod
    def of(cls, user: User) -> Self:
        """This person's habits, those of everybody where they have chosen none (then not stored)."""
        try:
            return cast(Self, user.habits)
        except cls.DoesNotExist:
            return cls(user_id=user.pk)

    @property
    def zone(self) -> ZoneInfo:
        """The person's time zone, else the desk's; one that this machine no longer knows is the desk's, too."""
        try:
            return ZoneInfo(self.time_zone or settings.TIME_ZONE)
        except (ValueError, KeyError, OSError):
            return ZoneInfo(settings.TIME_ZONE)

    def next_digest(self, after: datetime | None = None) -> datetime:
        """The next moment at which this person's clock shows the hour of their daily mail."""
        local = (after or timezone.now()).astimezone(self.zone)
        today = local.replace(hour=self.digest_hour, minute=0, second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)
