"""Webhooks of rules: configured by leads, called by the worker until they are taken or given up.

Signed as the Standard Webhooks specification says: `webhook-signature` is "v1," and the base64 of HMAC-SHA256 over
"{webhook-id}.{webhook-timestamp}.{body}" with the bytes of the secret after "whsec_".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
import time
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from tickets import posting
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Ticket, Webhook, WebhookAttempt, WebhookCall, leads
from tickets.models.work import LEASE
from triage import vault
from triage.flags import visible
from triage.models import User
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 8  # over some three hours
State = WebhookCall.State


def keep(*, name: str, url: str, by: User, webhook: Webhook | None = None, active: bool = True) -> tuple[Webhook, str]:
    """Make a webhook, or change one. Gives it, and its secret where it is new: it is shown this once.

    Raises Invalid naming the field, Conflict where the name is taken, Forbidden.
    """
    _require(by)
    kept = webhook or Webhook(by=by)
    kept.name, kept.url, kept.active = " ".join(visible(name).split())[:60], url.strip(), active
    if not kept.name:
        raise Invalid("blank", "Give the webhook a name.", field="name")
    try:
        posting.allowed(kept.url)
        kept.clean_fields(exclude=["secret"])
    except posting.NotAllowed as wrong:
        raise Invalid("not_an_address", str(wrong), field="url") from wrong
    except ValidationError as wrong:
        raise Invalid("not_an_address", "This is no address that can be called.", field="url") from wrong
    secret = ""
    if webhook is None:
        secret = new_secret()
        kept.keep_secret(secret)
    try:
        with transaction.atomic():
            kept.save()
    except IntegrityError as taken:
        raise Conflict("taken", f"There is a webhook \u201c{kept.name}\u201d already.", field="name") from taken
    return kept, secret


def renew_secret(*, webhook: Webhook, by: User) -> str:
    """Give it another secret; what is signed from now on is signed with that."""
    _require(by)
    secret = new_secret()
    webhook.keep_secret(secret)
    webhook.save(update_fields=["secret"])
    return secret


def try_out(*, webhook: Webhook, ticket: Ticket, by: User) -> WebhookCall:
    """Call it once about this ticket, as a rule would."""
    _require(by)
    with transaction.atomic():
        call = WebhookCall.objects.create(webhook=webhook, ticket=ticket, about={"rule": None, "cause": "test"})
        ring("interactive")
    return call


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def due() -> QuerySet[WebhookCall]:
    return WebhookCall.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` due calls under a lease; each try is a row before anything is sent."""
    now = timezone.now()
    with transaction.atomic():
        waiting = WebhookCall.objects.due(now).order_by("not_before", "pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = WebhookCall.objects.filter(pk__in=taken)
        mine.update(state=State.SENDING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        WebhookAttempt.objects.bulk_create([WebhookAttempt(call_id=pk) for pk in taken])
        return [Claimed(*each) for each in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def call(claimed: Claimed) -> None:
    """Send one claimed call, and record what became of it."""
    held = _held(claimed).select_related("webhook", "ticket__requester").first()
    if held is None:
        return
    began = time.monotonic()
    try:
        answer = _send(held)
    except posting.TryAgain as error:
        _later(held, claimed, error, began)
    except (posting.PostingError, vault.VaultError) as error:
        _finish(held, claimed, State.FAILED, began, error=error)
    except Exception as error:
        log.exception("webhook_broke", call=held.pk)
        _later(held, claimed, error, began)
    else:
        _finish(held, claimed, State.SENT, began, status=answer.status)


def _send(held: WebhookCall) -> posting.Answer:
    if not held.webhook.active:
        raise posting.NotAllowed("This webhook was switched off.")
    now = int(time.time())
    body = json.dumps(_body(held), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Triage-Desk",
        "webhook-id": str(held.uuid),
        "webhook-timestamp": str(now),
        "webhook-signature": signature(held.webhook.open_secret(), str(held.uuid), now, body),
    }
    return posting.post(held.webhook.url, body, headers, private=settings.WEBHOOKS_PRIVATE)


def _body(held: WebhookCall) -> dict[str, Any]:
    """The ticket as it is now. Nothing that its customer wrote but the subject, and no address."""
    ticket = held.ticket
    fields = ("category", "priority", "team", "tier", "severity", "effort", "component", "sentiment", "tags")
    return {
        "type": "rule.fired",
        "timestamp": held.created_at.isoformat(),
        "data": {
            **held.about,
            "correlation_id": held.correlation_id,
            "ticket": {
                "number": ticket.number,
                "url": f"{settings.BASE_URL}{ticket.get_absolute_url()}",
                "title": ticket.subject,
                "status": ticket.status,
                "escalated": ticket.escalated,
                "assignee": ticket.assignee.username if ticket.assignee else None,
                **{name: ticket.value_of(name) for name in (*fields, "language", "is_technical")},
                "created_at": ticket.created_at.isoformat(),
            },
        },
    }


def _held(claimed: Claimed) -> Any:
    return WebhookCall.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.SENDING)


def _later(held: WebhookCall, claimed: Claimed, error: Exception, began: float) -> None:
    if held.attempts >= MOST_ATTEMPTS:
        _finish(held, claimed, State.FAILED, began, error=error)
        return
    wait = timedelta(seconds=min(10 * 3 ** (held.attempts - 1), 3600) * random.uniform(0.8, 1.2))
    _finish(held, claimed, State.QUEUED, began, error=error, wait=wait)


def _finish(
    held: WebhookCall,
    claimed: Claimed,
    state: str,
    began: float,
    *,
    status: int | None = None,
    error: Exception | None = None,
    wait: timedelta = timedelta(),
) -> None:
    said = (str(error) or type(error).__name__)[:300] if error else ""
    now = timezone.now()
    with transaction.atomic():
        last = held.tries.order_by("-pk").first()
        if last is not None:
            last.milliseconds, last.error = int((time.monotonic() - began) * 1000), said
            last.status = status or getattr(error, "status", 0) or None
            last.save(update_fields=["milliseconds", "error", "status"])
        _held(claimed).update(
            state=state,
            lease_until=None,
            error=said,
            not_before=now + wait,
            sent_at=now if state == State.SENT else None,
        )


def _require(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins set up webhooks.")
