"""Webhooks as leads set them up: addresses, what they are told of, secrets; and calls that are sent once more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import HookEvent, Source, Team, Webhook, WebhookCall, leads
from tickets.models.webhook import DISABLING, PING, SECRETS
from tickets.webhooks import posting
from tickets.webhooks.signing import new_secret
from triage import correlation
from triage.flags import visible
from triage.models import User

State = WebhookCall.State


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a webhook is told of: these events, of tickets of these teams and from these sources; none: of all."""

    events: Collection[str] = ()
    teams: Collection[int] = ()
    sources: Collection[int] = ()
    format: str = Webhook.Format.PLAIN


def keep(
    *, name: str, url: str, by: User, webhook: Webhook | None = None, subscription: Subscription | None = None
) -> tuple[Webhook, str]:
    """Make a webhook, or change one. Gives it, and its secret where it is new: it is shown this once.

    Raises Invalid naming the field, Conflict where the name is taken, Forbidden.
    """
    _require(by)
    kept = webhook or Webhook(by=by)
    kept.name, kept.url = " ".join(visible(name).split())[:60], url.strip()
    if not kept.name:
        raise Invalid("blank", "Give the webhook a name.", field="name")
    if subscription is not None:
        _subscribe(kept, subscription)
    _check_address(kept)
    secret = ""
    if webhook is None:
        secret = new_secret()
        kept.renew_secret(secret)
    try:
        with transaction.atomic():
            kept.save()
            if subscription is not None:
                kept.teams.set(Team.objects.filter(pk__in=subscription.teams))
                kept.sources.set(Source.objects.filter(pk__in=subscription.sources))
    except IntegrityError as taken:
        raise Conflict("taken", f"There is a webhook \u201c{kept.name}\u201d already.", field="name") from taken
    return kept, secret


def _subscribe(kept: Webhook, subscription: Subscription) -> None:
    if unknown := sorted(set(subscription.events) - set(HookEvent.values)):
        raise Invalid("not_a_choice", f"There is no event {unknown[0][:40]}.", field="events")
    if subscription.format not in Webhook.Format.values:
        raise Invalid("not_a_choice", "Choose one of the forms.", field="format")
    kept.events = [event for event in HookEvent.values if event in subscription.events]
    kept.format = subscription.format


def _check_address(kept: Webhook) -> None:
    try:
        posting.allowed(kept.url, http=settings.WEBHOOKS_HTTP)
        kept.clean_fields(exclude=["secret", "former_secret", "events"])
    except posting.NotAllowed as wrong:
        raise Invalid("not_an_address", str(wrong), field="url") from wrong
    except ValidationError as wrong:
        raise Invalid("not_an_address", "This is no address that can be called.", field="url") from wrong


def renew_secret(*, webhook: Webhook, by: User) -> str:
    """Give it another secret. For a day calls are signed with both, so that the receiver can change over."""
    _require(by)
    secret = new_secret()
    webhook.renew_secret(secret)
    webhook.save(update_fields=SECRETS)
    return secret


def switch(*, webhook: Webhook, on: bool, by: User) -> Webhook:
    """Call it no more, or again. What waited is held back; it is sent when somebody replays it."""
    _require(by)
    with transaction.atomic():
        webhook.active = on
        webhook.enable()
        webhook.save(update_fields=["active", *DISABLING])
        if not on:
            webhook.calls.hold()
    return webhook


def delete(*, webhook: Webhook, by: User) -> None:
    """With its log. Rules that called it say so from now on, and do nothing."""
    _require(by)
    webhook.delete()


def ping(*, webhook: Webhook, by: User) -> WebhookCall:
    """Call it once, about nothing: whether it is reached, and reads the signature."""
    _require(by)
    _require_on(webhook)
    about = {"actor": f"user:{by.pk}"}
    return WebhookCall.objects.create(
        webhook=webhook, event=PING, about=about, correlation_id=correlation.current(), ticket=None
    )


def redeliver(*, call: WebhookCall, by: User) -> WebhookCall:
    """Send one call again: the same body under the same id. Raises Conflict where it is under way, or all is off."""
    _require(by)
    _require_on(call.webhook)
    if call.ticket is not None and call.ticket.spam:
        raise Conflict("spam", "This ticket is held as spam, and nobody is told of it. Let it in first.")
    if not WebhookCall.objects.filter(pk=call.pk).again():
        raise Conflict("under_way", "This call is on its way already.")
    call.refresh_from_db()
    return call


def replay(*, webhook: Webhook, since: datetime, until: datetime, states: Collection[str], by: User) -> int:
    """Send again what it was to be told between two moments and that has one of these states. Returns how many."""
    _require(by)
    _require_on(webhook)
    if until <= since:
        raise Invalid("backwards", "The end is after the beginning.", field="until")
    chosen = [state for state in (State.SENT, State.FAILED, State.HELD) if state in states]
    if not chosen:
        raise Invalid("blank", "Choose which of them.", field="states")
    return webhook.calls.filter(state__in=chosen, created_at__gte=since, created_at__lte=until).again()


def _require_on(webhook: Webhook) -> None:
    if not webhook.active or webhook.disabled_at:
        raise Conflict("off", "This webhook is off. Switch it on first.")


def _require(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins set up webhooks.")
