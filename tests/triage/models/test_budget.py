from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from triage.models import Budget, BudgetState, Spending

pytestmark = pytest.mark.django_db


def state(spent: str, limit: str | None = "10") -> BudgetState:
    return BudgetState(None if limit is None else Decimal(limit), Decimal(spent), 0)


@pytest.mark.parametrize(
    ("spent", "step"),
    [("0", 0), ("4.99", 0), ("5", 50), ("8", 80), ("9.49", 80), ("9.50", 95), ("10", 100), ("12", 100)],
)
def test_it_warns_in_steps(spent: str, step: int) -> None:
    assert state(spent).step == step
    assert state(spent).exhausted == (step == 100)


def test_without_a_limit_nothing_is_ever_spent() -> None:
    assert not state("1000000", None).exhausted and state("1", None).share is None and state("1", None).step == 0


def test_a_limit_of_nothing_is_spent_at_once() -> None:
    assert state("0", "0").exhausted and state("0", "0").step == 100


def test_there_is_one_budget_from_the_start_and_never_two() -> None:
    assert Budget.objects.get().monthly_limit is None
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.create(pk=2)


def test_a_month_is_counted_by_itself() -> None:
    Spending.add(Decimal("0.000000000001"), at=timezone.now())
    Spending.add(None, at=timezone.now())
    Spending.add(Decimal(5), at=datetime(2026, 1, 31, 23, 0, tzinfo=UTC))
    now = Budget.state()
    assert (now.spent, now.unknown) == (Decimal("0.000000000001"), 1)
    assert Spending.objects.get(month="2026-01-01").cost == 5
