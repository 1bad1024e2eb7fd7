from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from tickets.business_time import DAY, DAYS, Hours, NoHours
from tickets.models.recount import ANEW


class Calendar(models.Model):
    """When somebody works: opening hours of a week by the clock of a place, and the days that are free."""

    name = models.CharField(max_length=80, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    hours = ArrayField(
        models.CharField(max_length=20), help_text="Mon 09:00-12:30, Mon 13:30-17:00, Tue 09:00-17:00 and so on."
    )

    class Meta:
        ordering = ["name"]
        triggers = ANEW
        constraints = [models.CheckConstraint(condition=Q(hours__len__gte=1), name="a_calendar_has_hours")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.hours = Hours.of(self.time_zone, self.hours or ()).lines
        except NoHours as wrong:
            field = "time_zone" if "time zone" in str(wrong) else "hours"
            raise ValidationError({field: str(wrong)}) from wrong

    @property
    def summary(self) -> str:
        """Its week on one line: "Mon to Fri 09:00-17:00"; "Round the clock" where it never closes."""
        hours = self.opening()
        if all(spans == ((0, DAY),) for spans in hours.week):
            return "Round the clock"
        runs: list[tuple[list[str], str]] = []
        for name, spans in zip(DAYS, hours.week, strict=True):
            told = ", ".join(f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}" for begin, end in spans)
            if runs and runs[-1][1] == told:
                runs[-1][0].append(name)
            else:
                runs.append(([name], told))
        return "; ".join(f"{_days(names)} {told}" for names, told in runs if told)

    def opening(self) -> Hours:
        """Its hours and holidays, to reckon with. Raises NoHours for what was written past the application."""
        return Hours.of(self.time_zone, self.hours, (day.on for day in self.holidays.all()))


def _days(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} {'and' if len(names) == 2 else 'to'} {names[-1]}"


class Holiday(models.Model):
    """A day on which nobody of a calendar works."""

    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="holidays")
    on = models.DateField()
    name = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["on"]
        triggers = ANEW
        constraints = [models.UniqueConstraint(fields=["calendar", "on"], name="one_holiday_a_day")]

    def __str__(self) -> str:
        return f"{self.on:%Y-%m-%d} {self.name}".strip()
