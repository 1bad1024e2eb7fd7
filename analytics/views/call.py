"""One call to a language model: all that the ledger knows of it. It holds no word of a customer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from analytics.views.calls import seen_tickets
from analytics.views.staff import staff_only
from tickets.views.frame import person
from triage.models import Call, CallStatus

WORDS = {
    "input": "Read",
    "cache_read": "Read from the cache",
    "cache_write_5m": "Written to the cache, 5 minutes",
    "cache_write_1h": "Written to the cache, 1 hour",
    "output": "Answered",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one kind, US dollars a million, and what they cost, all as the row has them; None where not known."""

    word: str
    tokens: int | None
    rate: str | None
    cost: Decimal | None

    @property
    def exact(self) -> str:
        return exact(self.cost)


@require_safe
@staff_only
def page(request: HttpRequest, pk: int) -> HttpResponse:
    call = get_object_or_404(Call, pk=pk)
    rates = call.price or {}
    parts = [
        Part(word, getattr(call, f"{name}_tokens"), rates.get(name), getattr(call, f"{name}_cost"))
        for name, word in WORDS.items()
    ]
    context = {
        "call": call,
        "parts": parts,
        "exact": exact(call.cost),
        "visible": bool(seen_tickets([call], person(request))),
        "why_unknown": why_unknown(call),
    }
    return render(request, "analytics/call.html", context)


def exact(cost: Decimal | None) -> str:
    """To the last digit, without the noughts behind it: at least cents."""
    if cost is None:
        return ""
    whole, _, cents = f"{cost:f}".partition(".")
    return f"{whole}.{cents.rstrip('0').ljust(2, '0')}"


def why_unknown(call: Call) -> str:
    """Why a call has no cost: nobody can say zero of it."""
    if call.status == CallStatus.STARTED:
        return "It has not ended."
    if call.input_tokens is None or call.output_tokens is None:
        return "The server did not say what was used."
    return f"There is no price for {call.model_answered or call.model_asked} on that day."
