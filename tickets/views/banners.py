"""What everybody at the desk must know of the machine, on every page: it is paused, or its budget is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.utils import timezone

from tickets.models import leads
from triage import calls
from triage.models import Budget, Pause, User


@dataclass(frozen=True, slots=True)
class Banners:
    """Each is None, or what its banner shows to this person."""

    pause: Pause | None
    may_resume: bool
    budget: BudgetBanner | None


@dataclass(frozen=True, slots=True)
class BudgetBanner:
    spent: bool
    step: int
    limit: str
    until: date
    may_change: bool


def banners_for(user: User, *, paused: bool = True) -> Banners:
    """A spent budget is everybody's matter; that it will be, only of those who can raise it."""
    pause = Pause.in_force() if paused else None
    return Banners(pause, pause is not None and leads(user), _budget(user) if calls.configured() else None)


def _budget(user: User) -> BudgetBanner | None:
    state = Budget.state()
    may_change = user.has_perm("triage.change_budget")
    if not state.exhausted and (state.step < 80 or not may_change):
        return None
    next_month = (timezone.localdate().replace(day=1) + timedelta(days=32)).replace(day=1)
    return BudgetBanner(state.exhausted, state.step, f"${state.limit:,}", next_month, may_change)
