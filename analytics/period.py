"""Stretches of days that figures are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Q
from django.utils import timezone


@dataclass(frozen=True, slots=True)
class Period:
    """Whole calendar days of the desk's time zone, the last of them today. `days` is None for all there is."""

    key: str
    label: str
    days: int | None

    @property
    def first(self) -> date | None:
        return timezone.localdate() - timedelta(days=self.days - 1) if self.days else None

    @property
    def last(self) -> date:
        return timezone.localdate()

    @property
    def start(self) -> datetime | None:
        """Midnight at which the first day began, or None for all there is."""
        return timezone.make_aware(datetime.combine(self.first, time())) if self.first else None

    def within(self, field: str) -> Q:
        """Rows whose `field` lies in the period."""
        return Q(**{f"{field}__gte": self.start}) if self.start else Q(**{f"{field}__isnull": False})

    def before(self, field: str) -> Q:
        """Rows whose `field` lies in the stretch of equal length just before; nothing precedes all there is."""
        if not (self.days and self.start):
            return Q(pk__in=[])
        return Q(**{f"{field}__gte": self.start - timedelta(days=self.days), f"{field}__lt": self.start})

    def each_day(self) -> Iterator[date]:
        """Every day of the period, oldest first; raises ValueError for all there is."""
        if not self.days:
            raise ValueError("A period without a beginning has no list of days.")
        return (self.last - timedelta(days=back) for back in range(self.days - 1, -1, -1))


TODAY = Period("today", "Today", 1)
WEEK = Period("7d", "7 days", 7)
FORTNIGHT = Period("14d", "14 days", 14)
MONTH = Period("30d", "30 days", 30)
ALL = Period("all", "All", None)
PERIODS = {period.key: period for period in (TODAY, WEEK, FORTNIGHT, MONTH, ALL)}
