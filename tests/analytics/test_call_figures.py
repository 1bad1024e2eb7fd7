from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from analytics import call_figures as figures
from analytics.call_figures import Latency, Tokens
from analytics.period import ALL, WEEK
from triage.models import Call

pytestmark = pytest.mark.django_db


def call(operation: str = "classify", *, ago: float = 0, **fields: Any) -> Call:
    fields = {"status": "ok", "latency_ms": 900, "cost": Decimal("0.0004"), **fields}
    if fields["status"] in ("failed", "invalid"):
        fields.setdefault("error_code", "overloaded")
    return Call.objects.create(
        created_at=timezone.now() - timedelta(days=ago),
        operation=operation,
        provider="anthropic",
        model_asked="claude-haiku-5-5",
        **fields,
    )


def test_without_calls_nothing_is_claimed() -> None:
    calls = Call.objects.all()
    assert figures.count(calls) == figures.tickets_read(calls) == figures.errors(calls) == 0
    assert figures.cost(calls) == 0
    assert figures.cost_a_ticket(calls) is None
    assert figures.latency(calls) is None
    assert figures.error_share(calls) is None
    assert figures.tokens(calls) == Tokens(0, 0, 0, 0)
    assert figures.by_operation(calls) == []


def test_cost_is_summed_to_the_last_place_and_what_is_unknown_is_counted_apart() -> None:
    call(cost=Decimal("0.000412345678"))
    call(cost=Decimal("1.25"))
    call(cost=None)
    call(cost=None, status="started", latency_ms=None)
    assert figures.cost(Call.objects.all()) == Decimal("1.250412345678")
    assert figures.cost_unknown(Call.objects.all()) == 2
    assert figures.count(Call.objects.all()) == 4


def test_cost_a_ticket_divides_by_different_tickets_and_leaves_other_calls_out() -> None:
    call(subject_kind="ticket", subject_id="7", cost=Decimal("0.0004"))
    call("draft", subject_kind="ticket", subject_id="7", cost=Decimal("0.0010"))
    call(subject_kind="ticket", subject_id="8", cost=Decimal("0.0006"))
    call("summary", subject_kind="summary", cost=Decimal("5"))
    assert figures.tickets_read(Call.objects.all()) == 2
    assert figures.cost_a_ticket(Call.objects.all()) == Decimal("0.001")


def test_tokens_add_both_kinds_of_cache_writes() -> None:
    call(input_tokens=100, cache_read_tokens=2000, cache_write_5m_tokens=30, cache_write_1h_tokens=4, output_tokens=50)
    call(input_tokens=1, output_tokens=2)
    call()
    found = figures.tokens(Call.objects.all())
    assert found == Tokens(101, 2000, 34, 52)
    assert found.all == 2187


def test_latency_is_of_completed_calls() -> None:
    for milliseconds in (100, 200, 300, 400, 500):
        call(latency_ms=milliseconds)
    call(status="started", latency_ms=None)
    call(latency_ms=7_200_000, batch=True)  # in a message batch, which nobody waits for
    assert figures.latency(Call.objects.all()) == Latency(300.0, 480.0)


def test_errors_are_answers_nobody_could_use() -> None:
    for status in ("ok", "ok", "ok", "failed", "refused", "truncated", "invalid"):
        call(status=status)
    call(status="started", latency_ms=None)
    assert figures.errors(Call.objects.all()) == 4
    assert figures.error_share(Call.objects.all()) == pytest.approx(4 / 7)


def test_each_operation_has_its_own_line_the_dearest_first() -> None:
    call(input_tokens=10, output_tokens=5, latency_ms=100)
    call(input_tokens=20, output_tokens=5, latency_ms=300, status="failed", cost=None)
    call("draft", cost=Decimal("0.01"), latency_ms=2000, cache_write_1h_tokens=7)
    draft, classify = figures.by_operation(Call.objects.all())
    assert (draft.name, draft.calls, draft.cost, draft.p50, draft.tokens) == ("draft", 1, Decimal("0.01"), 2000.0, 7)
    assert (classify.name, classify.calls, classify.errors, classify.error_share) == ("classify", 2, 1, 0.5)
    assert (classify.cost, classify.cost_each) == (Decimal("0.0004"), Decimal("0.0004"))
    assert (classify.p50, classify.tokens) == (200.0, 40)


def test_a_period_leaves_older_calls_out() -> None:
    call(ago=0)
    call(ago=6)
    call(ago=8)
    assert figures.count(Call.objects.filter(WEEK.within("created_at"))) == 2
    assert figures.count(Call.objects.filter(ALL.within("created_at"))) == 3
