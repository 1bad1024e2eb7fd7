from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog
from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import connection, models
from django.utils import timezone

log = structlog.get_logger(__name__)
WARNING_STEPS = (50, 80, 95, 100)  # per cent of the limit


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Where the month stands. `spent` lacks the calls whose cost is not known; they are counted in `unknown`.

    `warned` is the step that was told last, by whichever process.
    """

    limit: Decimal | None
    spent: Decimal
    unknown: int
    warned: int = 0

    @property
    def share(self) -> float | None:
        """Spent over limit, 1.0 when all is gone; None without a limit."""
        if self.limit is None:
            return None
        return float(self.spent / self.limit) if self.limit else 1.0

    @property
    def step(self) -> int:
        """The highest warning reached, in per cent: 0, 50, 80, 95 or 100."""
        reached = (self.share or 0.0) * 100
        return max((step for step in WARNING_STEPS if reached >= step), default=0)

    @property
    def exhausted(self) -> bool:
        return self.limit is not None and self.spent >= self.limit


class Budget(models.Model):
    """What the language models may cost in a calendar month. One row; without a limit there is none."""

    monthly_limit = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="US dollars a calendar month. Once spent, tickets are read without a model. Empty: no limit.",
    )

    class Meta:
        verbose_name_plural = "budget"
        constraints = [models.CheckConstraint(name="budget_only_one", condition=models.Q(pk=1))]

    def __str__(self) -> str:
        return "no limit" if self.monthly_limit is None else f"${self.monthly_limit} a month"

    @classmethod
    def state(cls) -> BudgetState:
        """In one query, for it stands before every call."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT b.monthly_limit, s.cost, s.unknown, s.warned FROM (SELECT %s::date AS month) AS now "
                "LEFT JOIN triage_budget AS b ON true LEFT JOIN triage_spending AS s ON s.month = now.month",
                [month_of(timezone.now())],
            )
            limit, spent, unknown, warned = cursor.fetchone()
        return BudgetState(limit=limit, spent=spent or Decimal(0), unknown=unknown or 0, warned=warned or 0)


class Spending(models.Model):
    """The running total of one month, kept beside the ledger so that a call need not add up a million rows."""

    month = models.DateField(primary_key=True, help_text="The first day of the month.")
    cost = models.DecimalField(max_digits=20, decimal_places=12, default=Decimal(0))
    calls = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0, help_text="Calls whose cost is not known; the total lacks them.")
    warned = models.PositiveSmallIntegerField(default=0, help_text="The step of the budget that was told last.")

    class Meta:
        ordering = ["-month"]
        verbose_name_plural = "spending"

    def __str__(self) -> str:
        return f"{self.month:%B %Y}: ${self.cost:.2f}"

    @staticmethod
    def share(cost: Decimal | None, *, at: datetime) -> tuple[date, Decimal, int]:
        """What one call that began at `at` adds, and to which row: month, cost, calls of unknown cost."""
        return month_of(at), cost or Decimal(0), 1 if cost is None else 0

    @classmethod
    def add(cls, cost: Decimal | None, *, at: datetime) -> None:
        """Count one completed call. Last in its transaction: everybody's calls share this row."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO triage_spending AS s (month, cost, calls, unknown, warned) VALUES (%s, %s, 1, %s, 0) "
                "ON CONFLICT (month) DO UPDATE SET cost = s.cost + EXCLUDED.cost, calls = s.calls + 1, "
                "unknown = s.unknown + EXCLUDED.unknown",
                cls.share(cost, at=at),
            )

    @classmethod
    def warn(cls, state: BudgetState) -> None:
        """Log that a step of the budget is reached: once a step and month, by the first process to see it."""
        month = month_of(timezone.now())
        cls.objects.get_or_create(month=month)
        first = cls.objects.filter(month=month, warned=state.warned).update(warned=state.step) == 1
        if first and state.step > state.warned:
            log.warning("budget_step", step=state.step, spent=f"{state.spent:.4f}", limit=str(state.limit))


class Allowance(models.Model):
    """How many calls were begun in the day, or the minute, that is running: one row each, shared by all processes.

    Written only where TRIAGE_CALLS_A_DAY or TRIAGE_CALLS_A_MINUTE sets a cap. A minute is one of the clock.
    """

    class Span(models.TextChoices):
        MINUTE = "minute", "minute"
        DAY = "day", "day"

    span = models.CharField(max_length=6, primary_key=True, choices=Span)
    began_at = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["began_at"]

    def __str__(self) -> str:
        return f"{self.calls} calls this {self.span}"

    @classmethod
    def take(cls) -> str:
        """Count one call against every cap that is set. Returns "", or which cap stands in its way, in words.

        The minute first: a call that it refuses must not use up the day.
        """
        for span in cls.Span:
            cap = cls.cap(span)
            if cap is not None and not cls._count(span, cap):
                return f"the {cap:,} calls that are allowed a {span.value} are used up"
        return ""

    @staticmethod
    def cap(span: str) -> int | None:
        caps: dict[str, int | None] = {"minute": settings.TRIAGE_CALLS_A_MINUTE, "day": settings.TRIAGE_CALLS_A_DAY}
        return caps[span]

    @classmethod
    def used(cls, span: str) -> int:
        """Calls begun in the running day or minute, as far as they were counted."""
        found = cls.objects.filter(pk=span, began_at=_beginning(span)).values_list("calls", flat=True).first()
        return found or 0

    @staticmethod
    def _count(span: str, cap: int) -> bool:
        if cap == 0:
            return False
        with connection.cursor() as cursor:
            # A clock that lags behind another machine's counts into the newer span.
            cursor.execute(
                "INSERT INTO triage_allowance AS a (span, began_at, calls) VALUES (%s, %s, 1) "
                "ON CONFLICT (span) DO UPDATE SET began_at = GREATEST(a.began_at, EXCLUDED.began_at), "
                "calls = CASE WHEN EXCLUDED.began_at > a.began_at THEN 1 ELSE a.calls + 1 END "
                "WHERE EXCLUDED.began_at > a.began_at OR a.calls < %s",
                [span, _beginning(span), cap],
            )
            return bool(cursor.rowcount)


def _beginning(span: str) -> datetime:
    now = timezone.localtime().replace(second=0, microsecond=0)
    return now if span == "minute" else now.replace(hour=0, minute=0)


def month_of(moment: datetime) -> date:
    return timezone.localdate(moment).replace(day=1)
