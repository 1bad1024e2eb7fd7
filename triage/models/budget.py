from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import connection, models
from django.utils import timezone

WARNING_STEPS = (50, 80, 95, 100)  # per cent of the limit


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Where the month stands. `spent` lacks the calls whose cost is not known; they are counted in `unknown`."""

    limit: Decimal | None
    spent: Decimal
    unknown: int

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
                "SELECT b.monthly_limit, s.cost, s.unknown FROM (SELECT %s::date AS month) AS now "
                "LEFT JOIN triage_budget AS b ON true LEFT JOIN triage_spending AS s ON s.month = now.month",
                [month_of(timezone.now())],
            )
            limit, spent, unknown = cursor.fetchone()
        return BudgetState(limit=limit, spent=spent or Decimal(0), unknown=unknown or 0)


class Spending(models.Model):
    """The running total of one month, kept beside the ledger so that a call need not add up a million rows."""

    month = models.DateField(primary_key=True, help_text="The first day of the month.")
    cost = models.DecimalField(max_digits=20, decimal_places=12, default=Decimal(0))
    calls = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0, help_text="Calls whose cost is not known; the total lacks them.")

    class Meta:
        ordering = ["-month"]
        verbose_name_plural = "spending"

    def __str__(self) -> str:
        return f"{self.month:%B %Y}: ${self.cost:.2f}"

    @staticmethod
    def add(cost: Decimal | None, *, at: datetime) -> None:
        """Count one completed call that began at `at`. Last in its transaction: everybody's calls share this row."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO triage_spending AS s (month, cost, calls, unknown) VALUES (%s, %s, 1, %s) "
                "ON CONFLICT (month) DO UPDATE SET cost = s.cost + EXCLUDED.cost, calls = s.calls + 1, "
                "unknown = s.unknown + EXCLUDED.unknown",
                [month_of(at), cost or Decimal(0), 1 if cost is None else 0],
            )


def month_of(moment: datetime) -> date:
    return timezone.localdate(moment).replace(day=1)
