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
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import structlog
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from triage import ledger, mask
from triage.ledger import Begun, NoLeave, Outcome
from triage.models import Call, CallStatus, ModelServer
from triage.pipeline.types import AskedModel, NoAnswer, Question
from triage.providers import PROVIDERS, Provider
from triage.providers.base import Ability, ProviderError, Reply, Request, Retry, TimedOut

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


def warm() -> None:
    """Load what asking needs, where a model may be asked at all."""
    provider = PROVIDERS[PROVIDER]()
    if provider.configured():
        provider.warm()


async def ask(question: Question, *, model: str = "") -> AskedModel:
    """Ask the model of the settings, and after it the fallback where that may help; or `model` alone.

    Raises NoAnswer, with a reason fit for "No model answered: …", when none can or will. An answer that was cut off, or
    is no JSON where a schema was given, is returned all the same: the caller knows whether to repair it. `stop_reason`
    tells the first, the ledger both.
    """
    provider = PROVIDERS[PROVIDER]()
    if not provider.configured():
        raise NoAnswer("no language model is configured")
    system, user, restore, counts = masked(question)
    user = _cut(user, settings.TRIAGE_MAX_INPUT.get(question.operation))
    most = settings.TRIAGE_MAX_TOKENS.get(question.operation, question.max_tokens)
    await provider.prepare()
    for name, next_name in pairwise([*_models(model), ""]):
        request = Request(name, system, user, most, question.schema)
        try:
            call, cost, outcome = await _call(question, provider, request, counts)
        except NoLeave as problem:
            if next_name and problem.of_the_model:
                continue
            raise
        if outcome.answered is not None:
            return _given_back(outcome.answered, request, restore, call, cost)
        if not next_name or not _another_may(outcome):
            break
        log.info("model_fallback", asked=name, next=next_name, error_code=outcome.code)
    raise NoAnswer(outcome.sentence)


def masked(question: Question) -> tuple[str, str, dict[str, str], dict[str, int] | None]:
    """(system, user) as they may leave, what the placeholders in them stand for, and how many there are of each kind:
    None where the question leaves unmasked."""
    if not question.masking:
        return sendable(question.system), sendable(question.user), {}, None
    (system, user), restore, counts = mask.mask_all([question.system, question.user], question.names, ours=1)
    return sendable(system), sendable(user), restore, counts


def _models(asked: str) -> list[str]:
    """Whom to ask, one after the other."""
    return (
        [asked] if asked else list(dict.fromkeys(filter(None, (settings.TRIAGE_MODEL, settings.TRIAGE_FALLBACK_MODEL))))
    )


def _another_may(outcome: Outcome) -> bool:
    """Whether another model of the same provider may answer where this one did not: it has its own load, limits, name
    and scruples. A wrong key, a host that is not reached or a request that is too long fail with any model, and after a
    timeout the ticket has waited long enough."""
    return outcome.status == CallStatus.REFUSED or (outcome.error is not None and outcome.error.of_the_model)


async def _call(
    question: Question, provider: Provider, request: Request, counts: Mapping[str, int] | None
) -> tuple[Call, Decimal | None, Outcome]:
    """One row of the ledger, from its beginning to its end."""
    async with _slots():
        known = _remembered(provider, request.model)
        if known is None:
            known = await _in_database(_ability, provider, request.model)
        ability, tries = known
        request = replace(request, ability=ability)
        begun = await _in_database(ledger.begin, question, PROVIDER, provider.endpoint, request, counts)
        outcome = await _attempt(begun, provider, request)
        cost = await _in_database(ledger.complete, begun, outcome)
        if tries or (outcome.reply is not None and outcome.reply.ability != ability):
            await _in_database(_learn, provider, request.model, outcome.reply)
    return begun.call, cost, outcome


def _given_back(
    reply: Reply, request: Request, restore: Mapping[str, str], call: Call, cost: Decimal | None
) -> AskedModel:
    put_back = mask.unmask_json if request.schema else mask.unmask
    return AskedModel(
        text=put_back(reply.text, restore),
        model=reply.model or request.model,
        stop_reason=reply.stop_reason,
        call_id=call.pk,
        cost_usd=None if cost is None else format(cost, "f"),
    )


def _slots() -> asyncio.Semaphore:
    """At most TRIAGE_CONCURRENCY calls of this event loop are in flight; the others wait before they begin."""
    loop = asyncio.get_running_loop()
    if loop not in _in_flight:
        _in_flight[loop] = asyncio.Semaphore(settings.TRIAGE_CONCURRENCY)
    return _in_flight[loop]


_in_flight: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


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


_learned: dict[tuple[str, str], tuple[float, Ability]] = {}


def _remembered(provider: Provider, model: str) -> tuple[Ability, bool] | None:
    until, ability = _learned.get((provider.endpoint, model), (0.0, Ability()))
    return (ability, False) if time.monotonic() < until else None


def _ability(provider: Provider, model: str) -> tuple[Ability, bool]:
    """How to ask this server, and whether this call finds it out for all. Remembered for a while: shorter where it
    takes less than all, for another process may be finding out that it takes more."""
    ability, tries = ModelServer.ability(provider.endpoint, model, doubtful=provider.doubtful)
    if not tries:
        _learned[provider.endpoint, model] = (time.monotonic() + (60 if ability == Ability() else 5), ability)
    return ability, tries


def _learn(provider: Provider, model: str, reply: Reply | None) -> None:
    _learned.pop((provider.endpoint, model), None)
    if reply is None:
        ModelServer.nothing_learned(provider.endpoint, model)
    else:
        ModelServer.learn(provider.endpoint, model, reply.ability)


def _cut(text: str, most: int | None) -> str:
    """The beginning and the end of a text that is longer than may leave."""
    if most is None or len(text) <= most:
        return text
    kept = max(0, most - len(_LEFT_OUT))
    return f"{text[: kept - kept // 2]}{_LEFT_OUT}{text[len(text) - kept // 2 :]}"[:most]


_LEFT_OUT = "\n[…]\n"


def sendable(text: str) -> str:
    """Without half characters, which JSON over HTTP has no bytes for."""
    return text.encode("utf-8", "replace").decode("utf-8")


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
            return judged(reply, request, time.monotonic() - start, retries)
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
            await _in_database(ledger.complete, begun, ended)
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


def judged(reply: Reply, request: Request, latency: float, retries: int) -> Outcome:
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
