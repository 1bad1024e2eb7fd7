"""Calls of webhooks: claimed fairly for each address, and what became of them written down for many at once."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.models import Webhook, WebhookAttempt, WebhookCall
from tickets.models.rewriting import rewrite
from tickets.models.webhook import DISABLING
from tickets.models.work import LEASE
from tickets.webhooks.bodies import bodies_of
from triage import vault

log = structlog.get_logger(__name__)
GIVE_UP_AFTER = timedelta(hours=24)
DISABLE_AFTER = timedelta(days=5)  # of nothing but failures
KEEP_FOR = timedelta(days=30)  # the log
FIRST_WAIT, LONGEST_WAIT = 5.0, 4 * 3600.0  # seconds; three times as long after each attempt
HEALTHY, FAILING = 8, 1  # calls to one address at a time
State = WebhookCall.State


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed call with all that is needed to send it. `secrets` are empty where they cannot be opened."""

    claimed: Claimed
    attempt: int  # primary key of the row that was written for it
    webhook: int
    url: str
    uuid: str
    body: bytes
    secrets: Sequence[str]
    attempts: int
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand. `gone`: the address answered 410; `final`: another try would be no use."""

    errand: Errand
    taken: bool
    milliseconds: int
    status: int = 0
    error: str = ""
    answer: str = ""
    after: float = 0.0
    gone: bool = False
    final: bool = False


def is_due() -> bool:
    on = WebhookCall.objects.filter(webhook__active=True, webhook__disabled_at=None)
    return on.due(timezone.now()).exists()


_CLAIM = """
    WITH taken AS (
        SELECT due.id FROM unnest(%(webhooks)s::bigint[], %(free)s::int[]) AS lane (webhook, free)
        CROSS JOIN LATERAL (
            SELECT id FROM tickets_webhookcall
            WHERE webhook_id = lane.webhook AND not_before <= %(now)s
                AND (state = 'queued' OR (state = 'sending' AND lease_until < %(now)s))
            ORDER BY not_before, id LIMIT lane.free FOR UPDATE SKIP LOCKED) AS due)
    UPDATE tickets_webhookcall SET state = 'sending', attempts = attempts + 1, claim = claim + 1,
        lease_until = %(lease)s
    WHERE id IN (SELECT id FROM taken) RETURNING id
"""


def claim(busy: Mapping[int, int]) -> list[Errand]:
    """Take due calls under a lease, of each address as many as it may have beside the `busy` ones ({webhook: calls}).

    An address that fails has one call at a time, so that whatever it is slow with is its own loss alone. Each try is
    a row, and the body stands fast, before anything is sent.
    """
    on = Webhook.objects.filter(active=True, disabled_at=None).values_list("pk", "failing_since")
    free = {pk: (FAILING if since else HEALTHY) - busy.get(pk, 0) for pk, since in on}
    free = {pk: count for pk, count in free.items() if count > 0}
    if not free:
        return []
    now = timezone.now()
    with transaction.atomic():
        given: dict[str, Any] = {"webhooks": list(free), "free": list(free.values()), "now": now, "lease": now + LEASE}
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, given)
            taken = [pk for (pk,) in cursor.fetchall()]
        return _errands(taken) if taken else []


def _errands(taken: Sequence[int]) -> list[Errand]:
    related = ("webhook", "ticket__category", "ticket__team", "ticket__component", "ticket__source", "ticket__assignee")
    found = WebhookCall.objects.select_related(*related).defer("ticket__embedding", "ticket__raw")
    calls = list(found.filter(pk__in=taken).order_by("not_before", "pk"))
    unsaid = [call for call in calls if not call.body]
    for call, body in zip(unsaid, bodies_of(unsaid), strict=True):
        call.body = body
    rewrite(unsaid, ["body"])
    tries = WebhookAttempt.objects.bulk_create([WebhookAttempt(call=call) for call in calls])
    opened: dict[int, Sequence[str]] = {call.webhook_id: _secrets(call.webhook) for call in calls}
    return [
        Errand(
            Claimed(call.pk, call.claim),
            attempt.pk,
            call.webhook_id,
            call.webhook.url,
            str(call.uuid),
            call.body.encode(),
            opened[call.webhook_id],
            call.attempts,
            call.queued_at,
        )
        for call, attempt in zip(calls, tries, strict=True)
    ]


def _secrets(webhook: Webhook) -> Sequence[str]:
    try:
        return webhook.open_secrets()
    except vault.VaultError:
        log.exception("webhook_secret_not_opened", webhook=webhook.pk)
        return ()


_CALLS = """
    UPDATE tickets_webhookcall AS c SET state = new.state, lease_until = NULL, error = new.error,
        not_before = new.not_before, sent_at = CASE WHEN new.state = 'sent' THEN %s END
    FROM jsonb_to_recordset(%s::jsonb) AS new (id bigint, claim bigint, state text, error text, not_before timestamptz)
    WHERE c.id = new.id AND c.claim = new.claim AND c.state = 'sending'
"""
_TRIES = """
    UPDATE tickets_webhookattempt AS a SET milliseconds = new.milliseconds, status = nullif(new.status, 0),
        error = new.error, answer = new.answer
    FROM jsonb_to_recordset(%s::jsonb) AS new (id bigint, milliseconds int, status int, error text, answer text)
    WHERE a.id = new.id
"""


def finish(outcomes: Sequence[Outcome]) -> None:
    """Write down what became of these, and what that says of their addresses. A claim that was lost changes nothing."""
    now = timezone.now()
    calls = [
        {"id": one.errand.claimed.pk, "claim": one.errand.claimed.claim, "error": one.error[:300], **_next(one, now)}
        for one in outcomes
    ]
    tries = [
        {
            "id": one.errand.attempt,
            "milliseconds": one.milliseconds,
            "status": one.status,
            "error": one.error[:300],
            "answer": one.answer,
        }
        for one in outcomes
    ]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CALLS, [now, json.dumps(calls)])
            cursor.execute(_TRIES, [json.dumps(tries)])
        _judge(outcomes, now)


def _next(outcome: Outcome, now: datetime) -> dict[str, str]:
    """The state of its call, and when it is tried again where that is `queued`."""
    if outcome.taken:
        return {"state": State.SENT, "not_before": now.isoformat()}
    errand = outcome.errand
    # Exponential, with a fifth of chance either way: calls that failed together do not come back together.
    wait = min(FIRST_WAIT * 3 ** min(errand.attempts - 1, 20), LONGEST_WAIT) * random.uniform(0.8, 1.2)
    at = now + timedelta(seconds=max(wait, outcome.after))
    over = outcome.final or outcome.gone or at > errand.queued_at + GIVE_UP_AFTER
    return {"state": State.FAILED if over else State.QUEUED, "not_before": at.isoformat()}


def _judge(outcomes: Iterable[Outcome], now: datetime) -> None:
    """What an address took ends its failing; 410, or days of failures, end its being called."""
    of: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        of.setdefault(outcome.errand.webhook, []).append(outcome)
    for webhook in Webhook.objects.filter(pk__in=of).order_by("pk"):
        mine = of[webhook.pk]
        taken = any(outcome.taken for outcome in mine)
        if any(outcome.gone for outcome in mine):
            _disable(webhook, "It answered 410: nobody is to call it any more.")
        elif taken and webhook.failing_since:
            Webhook.objects.filter(pk=webhook.pk).update(failing_since=None)
        elif not taken and webhook.failing_since is None:
            Webhook.objects.filter(pk=webhook.pk, failing_since=None).update(failing_since=now)
        elif not taken and webhook.failing_since and webhook.failing_since < now - DISABLE_AFTER:
            _disable(webhook, f"It took nothing for {DISABLE_AFTER.days} days. The last time: {mine[-1].error}")


def _disable(webhook: Webhook, why: str) -> None:
    """Leads are told on every page (tickets.views.banners); what happens meanwhile is held back, to be replayed."""
    webhook.disable(why)
    webhook.save(update_fields=DISABLING)
    webhook.calls.hold()
    log.warning("webhook_disabled", webhook=webhook.pk, why=why)


def forget() -> int:
    """Delete what has stood in the log for a month. Returns how many calls."""
    old = WebhookCall.objects.filter(created_at__lt=timezone.now() - KEEP_FOR)
    settled = old.exclude(state__in=(State.QUEUED, State.SENDING)).order_by("pk").values("pk")[:5_000]
    return WebhookCall.objects.filter(pk__in=settled).delete()[0]
