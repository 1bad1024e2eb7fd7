"""The rows of a call to a language model: whether it may begin, what it was, how it ended and what it cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from triage import correlation
from triage.models import Allowance, Breaker, Budget, Call, CallStatus, Price, Spending, Tokens
from triage.pipeline.types import NoAnswer, Question
from triage.providers.base import AskPerson, ProviderError, Reply, Request, Retry

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that is under way. `probes` names the breakers that wait for how it ends."""

    call: Call
    endpoint: str
    probes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended. `sentence` says what went wrong, empty when nothing did."""

    status: CallStatus
    latency: float
    retries: int
    reply: Reply | None = None
    error: ProviderError | None = None
    code: str = ""
    sentence: str = ""

    @property
    def answered(self) -> Reply | None:
        """What came back, where its asker can make something of it."""
        return None if self.status in (CallStatus.REFUSED, CallStatus.FAILED) else self.reply


class NoLeave(NoAnswer):
    """The call was not begun. `of_the_model`: another model may have leave."""

    def __init__(self, sentence: str, *, of_the_model: bool = False) -> None:
        super().__init__(sentence)
        self.of_the_model = of_the_model


def begin(
    question: Question, provider: str, endpoint: str, request: Request, masked: Mapping[str, int] | None
) -> Begun:
    """May we? Then write down that we do. Raises NoLeave where the budget, a breaker or a cap says no."""
    state = Budget.state()
    if state.step != state.warned:
        Spending.warn(state)
    if state.exhausted:
        raise NoLeave(f"the budget of ${state.limit} for this month is spent")
    lease = timedelta(seconds=settings.TRIAGE_MODEL_TIMEOUT + 5)
    leave = Breaker.ask_leave(endpoint, Breaker.of_model(endpoint, request.model), probe_lease=lease)
    if isinstance(leave, Breaker):
        wait = round(leave.closed_to_calls_for)
        raise NoLeave(
            f"{leave.provider} failed repeatedly and is left alone for another {wait} seconds",
            of_the_model=leave.provider != endpoint,
        )
    if refused := Allowance.take():
        Breaker.release_probes(leave)
        raise NoLeave(refused)
    call = Call.objects.create(
        operation=question.operation,
        provider=provider,
        model_asked=request.model,
        prompt_version=question.prompt_version,
        max_tokens=request.max_tokens,
        input_limit=settings.TRIAGE_MAX_INPUT.get(question.operation),
        input_characters=len(request.user),
        masked=None if masked is None else dict(masked),
        subject_kind=question.subject_kind,
        subject_id=question.subject_id,
        correlation_id=correlation.current(),
    )
    return Begun(call, endpoint, leave)


def complete(begun: Begun, outcome: Outcome) -> Decimal | None:
    """Close the row, add up the month, tell the breakers. Returns the cost, None if not known."""
    call, reply, error = begun.call, outcome.reply, outcome.error
    values: dict[str, Any] = {
        "latency_ms": round(outcome.latency * 1000),
        "retries": outcome.retries,
        "error_code": outcome.code,
        "error": sentence(outcome.sentence),
    }
    if reply is not None:
        values |= {"model_answered": reply.model[:100], "stop_reason": reply.stop_reason[:40]}
        values |= {"request_id": reply.request_id[:100]} | reckoned(call, reply)
    elif error is not None:
        values["request_id"] = error.request_id[:100]
        if not error.maybe_charged:
            values["cost"] = Decimal(0)
    cost: Decimal | None = values.get("cost")
    if _close(call, outcome.status, values):
        _tell_breakers(begun, outcome)
    log.info(
        "model_call",
        call=call.pk,
        operation=call.operation,
        status=outcome.status.value,
        error_code=outcome.code,
        latency_ms=values["latency_ms"],
        retries=outcome.retries,
        subject=f"{call.subject_kind}:{call.subject_id}",
    )
    return cost


def close_abandoned(*, older_than: timedelta = timedelta(minutes=5)) -> int:
    """Complete the rows of processes that died while they waited. Returns how many; what they cost is not known."""
    closed = 0
    for call in Call.objects.abandoned(since=timezone.now() - older_than):
        waited = round((timezone.now() - call.created_at).total_seconds() * 1000)
        why = "The process that asked ended before the answer came."
        closed += _close(
            call, CallStatus.FAILED, {"latency_ms": min(waited, 2**31 - 1), "error_code": "abandoned", "error": why}
        )
    return closed


def _close(call: Call, status: CallStatus, values: Mapping[str, Any]) -> bool:
    """Complete the row and add it to its month, once: False if it was closed already.

    One statement, for everybody's calls share the month's row: it is locked no longer than the database itself takes.
    """
    columns = {"status": status.value, **values}
    fields = [Call._meta.get_field(name) for name in columns]
    changes = ", ".join(f'"{field.column}" = %s' for field in fields)  # type: ignore[union-attr]
    given = [field.get_db_prep_save(columns[field.name], connection) for field in fields]  # type: ignore[union-attr]
    for name, value in columns.items():
        setattr(call, name, value)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH closed AS (UPDATE triage_call SET {changes} WHERE id = %s AND status = 'started' RETURNING 1) "  # noqa: S608
            "INSERT INTO triage_spending AS s (month, cost, calls, unknown, warned) "
            "SELECT %s, %s, 1, %s, 0 FROM closed ON CONFLICT (month) DO UPDATE SET cost = s.cost + EXCLUDED.cost, "
            "calls = s.calls + 1, unknown = s.unknown + EXCLUDED.unknown",
            [*given, call.pk, *Spending.share(values.get("cost"), at=call.created_at)],
        )
        return bool(cursor.rowcount == 1)


def reckoned(call: Call, reply: Reply, *, batch: bool = False) -> dict[str, Any]:
    """The fields of a Call that say what it used and cost; without cost where a price or a count is missing."""
    usage = reply.usage
    values: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "output_tokens": usage.output,
    }
    price = _price(reply.model or call.model_asked, timezone.localdate(call.created_at), int(time.monotonic() // 60))
    tokens = Tokens(usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output)
    cost = price.cost(tokens, batch=batch, us_only=usage.us_only) if price else None
    if cost is not None:
        values |= {
            "input_cost": cost.input,
            "cache_read_cost": cost.cache_read,
            "cache_write_5m_cost": cost.cache_write_5m,
            "cache_write_1h_cost": cost.cache_write_1h,
            "output_cost": cost.output,
            "cost": cost.total,
            "price": cost.price,
        }
    return values


@lru_cache(maxsize=16)
def _price(model: str, day: date, minute: int) -> Price | None:
    """Looked up once a minute: prices change twice a year."""
    return Price.of(model, day)


def _tell_breakers(begun: Begun, outcome: Outcome) -> None:
    """Only what speaks of the provider, or of its model, counts: that it cannot, or nobody may. A request it dislikes
    says nothing."""
    if isinstance(outcome.error, Retry | AskPerson):
        of_model = Breaker.of_model(begun.endpoint, begun.call.model_asked)
        failed = of_model if outcome.error.of_the_model else begun.endpoint
        Breaker.record_failure(failed, str(outcome.error), probe=failed in begun.probes)
        rest = begun.probes - {failed}
        if outcome.error.of_the_model:  # the host itself has answered
            Breaker.record_recovery(rest)
        else:
            Breaker.release_probes(rest)
    elif begun.probes and outcome.reply is not None:
        Breaker.record_recovery(begun.probes)
    elif begun.probes:
        Breaker.release_probes(begun.probes)


def sentence(words: str) -> str:
    """Fit to stand alone: with a capital and a full stop. Empty stays empty."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""
