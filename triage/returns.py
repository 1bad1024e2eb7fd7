"""What a message batch brought back: each result a Call at the batch price, each answer unmasked and sealed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from triage import calls, ledger, mask
from triage.models import BatchRequest, Call, CallStatus, MessageBatch, Spending
from triage.providers.base import Request
from triage.providers.batches import AnthropicBatches, Result
from triage.vault import VaultError, decrypt, encrypt

log = structlog.get_logger(__name__)
State = MessageBatch.State
PORTION = 50  # results a transaction


async def collect(batch: MessageBatch, provider: AnthropicBatches) -> None:
    """Take in the results of a batch that has ended. Begun again after a crash, it skips what it has."""
    ours, portion = 0, []
    async for result in provider.results(batch.remote_id):
        portion.append(result)
        if len(portion) == PORTION:
            ours += await sync_to_async(_take_in)(batch, portion)
            portion = []
    ours += await sync_to_async(_take_in)(batch, portion)
    await sync_to_async(_close)(batch, ours)


def _take_in(batch: MessageBatch, results: list[Result]) -> int:
    """Keep these results; returns how many were of requests of this batch, taken in now or before."""
    known = 0
    for result in results:
        with transaction.atomic():
            mine = batch.requests.select_for_update().filter(custom_id=result.custom_id)
            if (request := mine.first()) is not None:
                known += 1
                if request.state == BatchRequest.State.WAITING:
                    _keep(batch, request, result)
    return known


def _keep(batch: MessageBatch, request: BatchRequest, result: Result) -> None:
    """Write the call down, add up the month, seal the answer. The row of the request is locked by the caller."""
    sent_at = batch.sent_at or batch.created_at
    latency = (timezone.now() - sent_at).total_seconds()
    call = Call(
        created_at=sent_at,
        operation=f"batch {request.operation}"[:20],
        provider=batch.provider,
        model_asked=batch.model,
        batch=True,
        prompt_version=request.prompt_version,
        masked=request.masked,
        subject_kind=request.subject_kind,
        subject_id=request.subject_id,
        correlation_id=request.correlation_id,
        latency_ms=min(round(latency * 1000), 2**31 - 1),
    )
    answer = _complete(call, request, result, latency)
    call.save()
    Spending.add(call.cost, at=sent_at)
    request.call = call
    request.state = BatchRequest.State.FAILED if answer is None else BatchRequest.State.ANSWERED
    request.sealed = encrypt(json.dumps(answer)) if answer else ""
    request.error = call.error if answer is None else ""
    request.save(update_fields=["call", "state", "sealed", "error"])


def _complete(call: Call, request: BatchRequest, result: Result, latency: float) -> dict[str, Any] | None:
    """Fill in how the call ended, and give the answer to seal; None when it is of no use."""
    if result.reply is None:
        call.status, call.error_code, call.cost = CallStatus.FAILED, result.code, Decimal(0)
        call.error = _WHY.get(result.code, "The batch brought no usable answer.")
        return None
    try:
        held = json.loads(decrypt(request.sealed))
    except VaultError:
        held = {}
    asked = Request(call.model_asked, "", "", 0, held.get("request", {}).get("schema"))
    outcome = calls.judged(result.reply, asked, latency, 0)
    call.status, call.error_code = outcome.status, outcome.code
    call.error = ledger.sentence(outcome.sentence)
    call.model_answered, call.stop_reason = result.reply.model[:100], result.reply.stop_reason[:40]
    for name, value in ledger.reckoned(call, result.reply, batch=True).items():
        setattr(call, name, value)
    if outcome.status in (CallStatus.REFUSED, CallStatus.FAILED) or not held:
        return None
    put_back = mask.unmask_json if asked.schema else mask.unmask
    return {
        "text": put_back(result.reply.text, held["restore"]),
        "model": result.reply.model or call.model_asked,
        "stop_reason": result.reply.stop_reason,
        "cost": None if call.cost is None else format(call.cost, "f"),
    }


_WHY = {
    "errored": "The provider could not answer this request of the batch.",
    "expired": "The batch expired before this request was answered.",
    "canceled": "The batch was cancelled before this request was answered.",
}


def _close(batch: MessageBatch, ours: int) -> None:
    """The results are in. Where none was ours, the batch was a stranger's: this one has yet to be found, or sent."""
    if not ours:
        MessageBatch.objects.filter(pk=batch.pk, claim=batch.claim).update(
            state=State.SENDING,
            remote_id="",
            strangers=[*batch.strangers, batch.remote_id],
            lease_until=None,
            not_before=timezone.now(),
        )
        log.warning("batch_was_a_strangers", batch=batch.pk)
        return
    if batch.cancel_wanted:
        give_up(batch, State.CANCELLED, "It was cancelled.")
    else:
        give_up(batch, State.COLLECTED, "")
    log.info("batch_collected", batch=batch.pk, requests=ours)


def give_up(batch: MessageBatch, state: MessageBatch.State, why: str) -> None:
    """Nothing more will come of it: what has no answer by now gets none."""
    with transaction.atomic():
        mine = MessageBatch.objects.filter(pk=batch.pk, claim=batch.claim)
        collected = timezone.now() if state == State.COLLECTED else None
        if mine.update(state=state, error=why, lease_until=None, collected_at=collected):
            unanswered = batch.requests.filter(state=BatchRequest.State.WAITING)
            reason = why or "The batch brought no result for this request."
            unanswered.update(state=BatchRequest.State.FAILED, sealed="", error=reason[:300])
