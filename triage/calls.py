"""The only door to a language model: budget, breaker, mask, provider, row.

Nothing personal leaves that `triage.mask` knows, and every request that leaves is a row of the ledger, saved before it
goes and completed after, whatever comes back.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

import structlog
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from triage import correlation, mask
from triage.models import Breaker, Budget, Call, CallStatus, Price, Spending, Tokens
from triage.pipeline.types import AskedModel, NoAnswer, Question
from triage.providers import PROVIDERS, Provider
from triage.providers.base import AskPerson, ProviderError, Reply, Request, Retry, TimedOut

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

PROVIDER = "anthropic"
ATTEMPTS = 3
PATIENCE = 2.0  # seconds of waiting between attempts, all together; what lasts longer is the queue's business
FIRST_WAIT = 0.25  # doubles from attempt to attempt, each drawn between half and all of it
LONGEST_TEXT = 400_000  # characters; an answer beyond is none, whatever was asked


def configured() -> bool:
    """Whether a model may be asked at all: ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL is set."""
    return PROVIDERS[PROVIDER]().configured()


async def ask(question: Question, *, model: str = "") -> AskedModel:
    """Ask the model of the settings, or `model`. Raises NoAnswer, with a reason fit for "No model answered: …", when
    none can or will.

    An answer that was cut off, or is no JSON where a schema was given, is returned all the same: the caller knows
    whether to repair it. `stop_reason` tells the first, the ledger both.
    """
    provider = PROVIDERS[PROVIDER]()
    if not provider.configured():
        raise NoAnswer("no language model is configured")
    (system, user), restore, counts = mask.mask_all([question.system, question.user], question.names)
    name = model or settings.TRIAGE_MODEL
    request = Request(name, _sendable(system), _sendable(user), question.max_tokens, question.schema)
    await provider.prepare()
    begun = await _in_database(_begin, question, provider.endpoint, request.model, counts)
    outcome = await _attempt(begun, provider, request)
    usable = outcome.reply is not None and outcome.status not in (CallStatus.REFUSED, CallStatus.FAILED)
    cost = await _in_database(_complete, begun, provider.endpoint, outcome)
    if not usable or outcome.reply is None:
        raise NoAnswer(outcome.sentence)
    put_back = mask.unmask_json if question.schema else mask.unmask
    return AskedModel(
        text=put_back(outcome.reply.text, restore),
        model=outcome.reply.model or request.model,
        stop_reason=outcome.reply.stop_reason,
        call_id=begun.call.pk,
        cost_usd=None if cost is None else format(cost, "f"),
    )


def ask_sync(question: Question) -> AskedModel:
    """The same for code that is not asynchronous."""
    return async_to_sync(ask)(question)


async def _in_database(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in the thread of the database; once more on a new connection when the old one is gone. Within a
    transaction, on the connection of that, whatever becomes of it."""

    def done() -> T:
        if connection.in_atomic_block:
            return work(*args, **kwargs)
        try:
            return work(*args, **kwargs)
        except (OperationalError, InterfaceError):
            connection.close()
            return work(*args, **kwargs)
        finally:
            if connection.settings_dict["CONN_MAX_AGE"] == 0:
                connection.close()  # back to the pool

    return await sync_to_async(done)()


def close_abandoned(*, older_than: timedelta = timedelta(minutes=5)) -> int:
    """Complete the rows of processes that died while they waited. Returns how many; what they cost is not known."""
    closed = 0
    for call in Call.objects.abandoned(since=timezone.now() - older_than):
        with transaction.atomic():
            if call.complete(
                status=CallStatus.FAILED,
                latency_ms=round((timezone.now() - call.created_at).total_seconds() * 1000),
                error_code="abandoned",
                error="The process that asked ended before the answer came.",
            ):
                Spending.add(None, at=call.created_at)
                closed += 1
    return closed


def _sendable(text: str) -> str:
    """Without half characters, which JSON over HTTP has no bytes for."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Begun:
    call: Call
    probe: bool


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


def _begin(question: Question, endpoint: str, model: str, counts: Mapping[str, int]) -> Begun:
    """May we? Then write down that we do."""
    state = Budget.state()
    if state.exhausted:
        raise NoAnswer(f"the budget of ${state.limit} for this month is spent")
    leave = Breaker.ask_leave(endpoint, probe_lease=timedelta(seconds=settings.TRIAGE_MODEL_TIMEOUT + PATIENCE))
    if isinstance(leave, Breaker):
        wait = round(leave.closed_to_calls_for)
        raise NoAnswer(f"{endpoint} failed repeatedly and is left alone for another {wait} seconds")
    call = Call.objects.create(
        operation=question.operation,
        provider=PROVIDER,
        model_asked=model,
        prompt_version=question.prompt_version,
        masked=dict(counts),
        subject_kind=question.subject_kind,
        subject_id=question.subject_id,
        correlation_id=correlation.current(),
    )
    return Begun(call, probe=leave == "probe")


async def _attempt(begun: Begun, provider: Provider, request: Request) -> Outcome:
    """Ask, and ask again where that may help, within one deadline and a little patience."""
    start = time.monotonic()
    deadline = asyncio.get_running_loop().time() + settings.TRIAGE_MODEL_TIMEOUT
    waited, retries = 0.0, 0
    while True:
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    reply = await provider.answer(request)
            except TimeoutError:
                seconds = f"{settings.TRIAGE_MODEL_TIMEOUT:g} seconds"
                raise TimedOut(f"{provider.endpoint} did not answer within {seconds}") from None
            return _judged(reply, request, time.monotonic() - start, retries)
        except ProviderError as error:
            wait = _wait(error, retries)
            if wait is None or waited + wait > PATIENCE:
                return Outcome(
                    CallStatus.FAILED, time.monotonic() - start, retries, None, error, error.code, str(error)
                )
        except BaseException as problem:
            # Cancelled in the middle, or a fault of ours: the row says so, for nobody else will.
            code = "interrupted" if isinstance(problem, asyncio.CancelledError) else "unexpected"
            ended = Outcome(
                CallStatus.FAILED, time.monotonic() - start, retries, None, None, code, "the call was broken off"
            )
            await _in_database(_complete, begun, provider.endpoint, ended)
            raise
        await asyncio.sleep(wait)
        waited += wait
        retries += 1


def _wait(error: ProviderError, retries: int) -> float | None:
    """Seconds before the next attempt: what the server asks for, at least our own pace. None: no further attempt."""
    if not isinstance(error, Retry) or isinstance(error, TimedOut) or retries + 1 >= ATTEMPTS:
        return None
    pace = FIRST_WAIT * 2**retries
    return max(error.retry_after or 0.0, random.uniform(pace / 2, pace))


def _judged(reply: Reply, request: Request, latency: float, retries: int) -> Outcome:
    status, code, sentence = CallStatus.OK, "", ""
    if reply.stop_reason == "refusal":
        status, code, sentence = CallStatus.REFUSED, "refused", "the model declined to answer"
    elif len(reply.text) > LONGEST_TEXT:
        status, code, sentence = CallStatus.FAILED, "too_much", "the model answered far more than it was asked for"
    elif reply.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        status, code, sentence = CallStatus.TRUNCATED, reply.stop_reason, "the answer was cut off"
    elif not reply.text.strip():
        status, code, sentence = CallStatus.FAILED, "empty", "the model answered nothing"
    elif request.schema and (problem := _unusable(reply.text, request.schema)):
        status, code, sentence = CallStatus.INVALID, "invalid", problem
    return Outcome(status, latency, retries, reply, None, code, sentence)


def _unusable(text: str, schema: Mapping[str, Any]) -> str:
    """Why this is not the object asked for, by its outline; whether the values are right is the asker's to say."""
    start = text.find("{")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except (ValueError, RecursionError):
        return "the answer is not JSON"
    if not isinstance(value, dict):
        return "the answer is not a JSON object"
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"the answer lacks {', '.join(missing)}"
    if schema.get("additionalProperties") is False and any(name not in known for name in value):
        return "the answer has fields that nobody asked for"
    return ""


def _complete(begun: Begun, endpoint: str, outcome: Outcome) -> Decimal | None:
    """Close the row, add up the month, tell the breaker. One transaction; returns the cost, None if not known."""
    call, reply, error = begun.call, outcome.reply, outcome.error
    values: dict[str, Any] = {
        "latency_ms": round(outcome.latency * 1000),
        "retries": outcome.retries,
        "error_code": outcome.code,
        "error": _sentence(outcome.sentence),
    }
    if reply is not None:
        values |= {"model_answered": reply.model[:100], "stop_reason": reply.stop_reason[:40]}
        values |= {"request_id": reply.request_id[:100]} | _reckoned(call, reply)
    elif error is not None:
        values["request_id"] = error.request_id[:100]
        if not error.maybe_charged:
            values["cost"] = Decimal(0)
    with transaction.atomic():
        if call.complete(status=outcome.status, **values):
            _tell_breaker(begun, endpoint, outcome)
            Spending.add(values.get("cost"), at=call.created_at)
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
    cost: Decimal | None = values.get("cost")
    return cost


def _reckoned(call: Call, reply: Reply, *, batch: bool = False) -> dict[str, Any]:
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


def _tell_breaker(begun: Begun, endpoint: str, outcome: Outcome) -> None:
    """Only what speaks of the provider counts: that it cannot, or nobody may. A request it dislikes says nothing."""
    if isinstance(outcome.error, Retry | AskPerson):
        Breaker.record_failure(endpoint, str(outcome.error), probe=begun.probe)
    elif begun.probe and outcome.reply is not None:
        Breaker.record_recovery(endpoint)
    elif begun.probe:
        Breaker.release_probe(endpoint)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""
