"""How it stands with the language model now: may it be asked, by whom is it answered, and what is left of the money."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from triage import calls
from triage.models import Allowance, Breaker, Budget, BudgetState


@dataclass(frozen=True, slots=True)
class Cap:
    """Calls that may be begun in the running minute or day, and those that were."""

    span: str
    most: int
    used: int

    @property
    def reached(self) -> bool:
        return self.used >= self.most


@dataclass(frozen=True, slots=True)
class Standing:
    """`breakers` are those that ever saw a failure; where there is none, all is well."""

    configured: bool
    model: str
    fallback: str
    budget: BudgetState
    breakers: list[Breaker]
    caps: list[Cap]


def standing() -> Standing:
    caps = [(span.value, Allowance.cap(span)) for span in Allowance.Span]
    return Standing(
        configured=calls.configured(),
        model=settings.TRIAGE_MODEL,
        fallback=settings.TRIAGE_FALLBACK_MODEL,
        budget=Budget.state(),
        breakers=list(Breaker.objects.order_by("provider")),
        caps=[Cap(span, cap, Allowance.used(span)) for span, cap in caps if cap is not None],
    )
