from __future__ import annotations

from django.db import models

from tickets.models.calendar import Calendar
from tickets.models.recount import anew
from tickets.models.taxonomy import Label


class Team(Label):
    calendar = models.ForeignKey(
        Calendar,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="teams",
        help_text="For the policies that name no calendar of their own. Empty: round the clock.",
    )
    auto_assign = models.BooleanField(
        default=False, help_text="Give its new tickets to whoever is available and has the least to do."
    )

    class Meta(Label.Meta):
        triggers = anew("OLD.calendar_id IS DISTINCT FROM NEW.calendar_id")
