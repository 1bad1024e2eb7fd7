"""The door for requests that may wait a day: message batches, at the batch price.

As in `triage.calls`: what is personal leaves masked, every request is a row before it leaves, and a Call once it is
back. `keep` takes questions one by one, `assemble` makes batches of them within the budget, the batch cluster sends
and collects them by `claim` and `work`, `answer` gives what came back.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.db.models import Avg, F, QuerySet
from django.utils import timezone

from triage import calls, correlation
from triage.models import BatchRequest, Budget, Call, MessageBatch, Price, Tokens
from triage.pipeline.types import AskedModel, NoAnswer, Question
from triage.providers.base import ProviderError, Request, Retry, Unreachable
from triage.providers.batches import AnthropicBatches, Remote
from triage.returns import collect, give_up
from triage.vault import VaultError, decrypt, encrypt

log = structlog.get_logger(__name__)
State = MessageBatch.State
LARGEST = 2_000  # requests; the API takes more, a process holds them all while it sends
LARGEST_CHARACTERS = 24_000_000  # of its 256 MB
CHARACTERS_A_TOKEN = Decimal("3.2")
USUAL_OUTPUT = 450  # tokens of a classification, until the ledger knows better
LEASE = timedelta(seconds=15)
LOOK_EVERY = timedelta(seconds=60)
ATTEMPTS = 10
CLOCKS_APART = timedelta(minutes=5)  # at most, ours and the provider's


def keep(question: Question, *, owner: str) -> BatchRequest:
    """Mask the question and keep it, sealed, until a batch is made of what its owner has kept."""
    system, user, restore, counts = calls.masked(question)
    request = Request(settings.TRIAGE_MODEL, system, user, question.max_tokens, question.schema)
    return BatchRequest.objects.create(
        owner=owner,
        operation=question.operation,
        prompt_version=question.prompt_version,
        characters=len(system) + len(user),
        masked=counts,
        subject_kind=question.subject_kind,
        subject_id=question.subject_id,
        correlation_id=correlation.current(),
        sealed=encrypt(json.dumps({"request": _outline(request), "restore": restore})),
    )


def _outline(request: Request) -> dict[str, Any]:
    """As it is kept. What the server takes is known when it is sent."""
    return {name: value for name, value in asdict(request).items() if name != "ability"}


def estimate(characters: int, requests: int, *, model: str = "", batch: bool = False) -> Decimal | None:
    """US dollars that `requests` of so many characters in all will cost, at 3.2 characters a token; None unpriced."""
    name = model or settings.TRIAGE_MODEL
    price = Price.of(name, timezone.localdate())
    if price is None:
        return None
    known = Call.objects.filter(operation__in=("classify", "batch classify"), model_asked=name, output_tokens__gt=0)
    output = known.order_by("-created_at")[:200].aggregate(mean=Avg("output_tokens"))["mean"] or USUAL_OUTPUT
    tokens = Tokens(input=round(characters / CHARACTERS_A_TOKEN), output=round(output * requests))
    each = price.cost(tokens, batch=batch)
    return each.total if each else None


@transaction.atomic
def assemble(*, owner: str) -> MessageBatch | None:
    """Make one batch of what its owner has kept, as much as fits; None when nothing waits.

    Raises NoAnswer when the budget has no room for a single one. The caller sees to it that nobody else assembles
    for this owner meanwhile.
    """
    loose = list(
        BatchRequest.objects.filter(owner=owner, batch=None, state=BatchRequest.State.WAITING)
        .order_by("pk")
        .values_list("pk", "characters")[:LARGEST]
    )
    if not loose:
        return None
    size = _fitting([characters for _, characters in loose])
    characters = sum(characters for _, characters in loose[:size])
    batch = MessageBatch.objects.create(
        owner=owner,
        provider=calls.PROVIDER,
        model=settings.TRIAGE_MODEL,
        size=size,
        estimate=estimate(characters, size, batch=True),
    )
    for number, (pk, _) in enumerate(loose[:size]):
        BatchRequest.objects.filter(pk=pk).update(batch=batch, custom_id=f"{batch.token}-{number}")
    log.info("batch_prepared", batch=batch.pk, requests=size, estimate=str(batch.estimate))
    return batch


def _fitting(lengths: list[int]) -> int:
    """How many of the requests one batch holds and the budget can bear. Raises NoAnswer for none."""
    room = len(lengths)
    while room > 1 and sum(lengths[:room]) > LARGEST_CHARACTERS:
        room -= 1
    state = Budget.state()
    expected = estimate(sum(lengths[:room]), room, batch=True)
    if state.limit is None or not expected:
        return room
    left = state.limit - state.spent - MessageBatch.set_aside()
    affordable = int(room * left / expected) if left > 0 else 0
    if affordable < 1:
        raise NoAnswer(f"the budget of ${state.limit} for this month leaves no room for another batch")
    return min(room, affordable)


def answer(request: BatchRequest) -> AskedModel:
    """What the model said to this request. Raises NoAnswer when nothing usable came back."""
    if request.state != BatchRequest.State.ANSWERED:
        raise NoAnswer(request.error or "its batch brought no answer")
    try:
        said = json.loads(decrypt(request.sealed))
    except VaultError:
        raise NoAnswer("its answer was sealed with another SECRET_KEY") from None
    return AskedModel(said["text"], said["model"], said["stop_reason"], request.call_id, said["cost"])


def use_up(requests: QuerySet[BatchRequest]) -> None:
    """The answers have been used, or nobody wants them any more: nothing personal is kept."""
    requests.update(state=BatchRequest.State.USED, sealed="")


def cancel(*, owner: str) -> None:
    """Send nothing more for this owner, and ask the provider to stop. What was answered by then is charged."""
    with transaction.atomic():
        mine = MessageBatch.objects.select_for_update().filter(owner=owner)
        unsent = list(mine.filter(state=State.PREPARED).values_list("pk", flat=True))
        MessageBatch.objects.filter(pk__in=unsent).update(state=State.CANCELLED, lease_until=None)
        mine.filter(state__in=(State.SENDING, State.SENT)).update(cancel_wanted=True, not_before=timezone.now())
        gone = BatchRequest.objects.filter(owner=owner, state=BatchRequest.State.WAITING)
        use_up(gone.filter(batch=None) | gone.filter(batch__in=unsent))


def claim(limit: int) -> list[tuple[int, int]]:
    """Up to `limit` batches with something to do, as (primary key, claim), under a lease."""
    now = timezone.now()
    with transaction.atomic():
        due = MessageBatch.objects.due(now).order_by("not_before")
        taken = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        mine = MessageBatch.objects.filter(pk__in=taken)
        mine.update(claim=F("claim") + 1, attempts=F("attempts") + 1, lease_until=now + LEASE)
        return list(mine.values_list("pk", "claim"))


def renew(pk: int, claimed: int) -> None:
    MessageBatch.objects.filter(pk=pk, claim=claimed).update(lease_until=timezone.now() + LEASE)


def is_due() -> bool:
    return MessageBatch.objects.due(timezone.now()).exists()


async def work(pk: int, claimed: int) -> None:
    """Do the next thing about a claimed batch: send it, look after it, or collect what came back."""
    batch = await sync_to_async(MessageBatch.objects.filter(pk=pk, claim=claimed).first)()
    if batch is None:
        return
    try:
        if batch.state in (State.PREPARED, State.SENDING):
            await _send(batch)
        elif batch.state == State.SENT:
            await _look_after(batch)
    except ProviderError as problem:
        await sync_to_async(_put_off)(batch, problem)
    except Exception as problem:
        log.exception("batch_broke", batch=pk)
        await sync_to_async(_put_off)(batch, Unreachable(f"{type(problem).__name__} in the desk itself"))


async def _send(batch: MessageBatch) -> None:
    """Send it, unless it left already with a process that did not live to write down its name."""
    provider = AnthropicBatches()
    if batch.state == State.SENDING:
        if (found := await _find(batch, provider)) is not None:
            await sync_to_async(_note_sent)(batch, found, certain=False)
            return
        if batch.cancel_wanted:
            await sync_to_async(give_up)(batch, State.CANCELLED, "It was cancelled before it was sent.")
            return
    requests = await sync_to_async(_open)(batch)
    if await sync_to_async(_begin_sending)(batch):
        remote = await provider.create(requests)
        await sync_to_async(_note_sent)(batch, remote, certain=True)


async def _find(batch: MessageBatch, provider: AnthropicBatches) -> Remote | None:
    """The provider's batch that this one may be: as large, as old, and nobody else's. Its results will tell."""
    began = batch.sent_at or batch.created_at
    listed = [remote for remote in await provider.since(began - CLOCKS_APART) if remote.size == batch.size]
    known = await sync_to_async(
        lambda: set(MessageBatch.objects.exclude(remote_id="").values_list("remote_id", flat=True))
    )()
    unknown = [remote for remote in listed if remote.id not in known and remote.id not in batch.strangers]
    return min(unknown, key=lambda remote: remote.created_at, default=None)


def _open(batch: MessageBatch) -> list[tuple[str, Request]]:
    opened = []
    for name, sealed in batch.requests.order_by("pk").values_list("custom_id", "sealed").iterator():
        request = json.loads(decrypt(sealed))["request"]
        opened.append((name, Request(**{**request, "model": batch.model})))
    return opened


def _begin_sending(batch: MessageBatch) -> bool:
    mine = MessageBatch.objects.filter(pk=batch.pk, claim=batch.claim, state__in=(State.PREPARED, State.SENDING))
    batch.sent_at = batch.sent_at or timezone.now()
    return mine.update(state=State.SENDING, sent_at=batch.sent_at) == 1


def _note_sent(batch: MessageBatch, remote: Remote, *, certain: bool) -> None:
    """It is with the provider. Of the requests, what brings the masked values back is kept, and the schema."""
    now = timezone.now()
    with transaction.atomic():
        if certain:  # another batch may have taken this one for its own while our answer was on its way
            mistaken = MessageBatch.objects.filter(remote_id=remote.id).exclude(pk=batch.pk)
            mistaken.update(remote_id="", state=State.SENDING, not_before=now + LOOK_EVERY)
        MessageBatch.objects.filter(pk=batch.pk).update(
            state=State.SENT,
            remote_id=remote.id,
            sent_at=batch.sent_at or now,
            attempts=0,
            error="",
            not_before=now if batch.cancel_wanted else now + LOOK_EVERY,
            lease_until=None,
        )
        if certain:
            _forget_requests(batch.requests.filter(state=BatchRequest.State.WAITING))
    log.info("batch_sent", batch=batch.pk, requests=batch.size, found_again=not certain)


def _forget_requests(requests: Iterable[BatchRequest]) -> None:
    for request in requests:
        held: dict[str, Any] = json.loads(decrypt(request.sealed))
        schema = held["request"]["schema"]
        request.sealed = encrypt(json.dumps({"restore": held["restore"], "request": {"schema": schema}}))
        request.save(update_fields=["sealed"])


async def _look_after(batch: MessageBatch) -> None:
    provider = AnthropicBatches()
    remote = await provider.retrieve(batch.remote_id)
    if remote.ended:
        await collect(batch, provider)
        return
    if batch.cancel_wanted:
        await provider.cancel(batch.remote_id)
    mine = MessageBatch.objects.filter(pk=batch.pk, claim=batch.claim)
    await sync_to_async(mine.update)(
        lease_until=None, attempts=0, error="", not_before=timezone.now() + LOOK_EVERY * random.uniform(0.8, 1.2)
    )


def _put_off(batch: MessageBatch, problem: ProviderError) -> None:
    """Again later, if that may help; what was refused for certain has not left."""
    claimed = batch.claim
    batch.refresh_from_db()
    if batch.claim != claimed:
        return  # somebody else has it now
    if not isinstance(problem, Retry) or batch.attempts >= ATTEMPTS:
        give_up(batch, State.FAILED, f"{str(problem)[:1].upper()}{str(problem)[1:]}.")
        return
    wait = min(30 * 2 ** (batch.attempts - 1), 900) * random.uniform(0.8, 1.2)
    refused = batch.state == State.SENDING and problem.code in ("rate_limited", "overloaded")
    MessageBatch.objects.filter(pk=batch.pk, claim=batch.claim).update(
        state=State.PREPARED if refused else batch.state,
        error=f"{problem}; trying again",
        lease_until=None,
        not_before=timezone.now() + timedelta(seconds=max(wait, problem.retry_after or 0.0)),
    )
