from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tickets.actions import webhooks
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.webhooks import Subscription
from tickets.models import Ticket, Webhook, WebhookCall
from triage.models import User

URL = "https://example.com/"


def test_its_secret_lies_encrypted_and_the_former_one_lasts_a_day(lead: User) -> None:
    hook, secret = webhooks.keep(name="Pager", url=URL, by=lead)
    assert secret.startswith("whsec_")
    assert secret not in hook.secret
    assert Webhook.objects.get().open_secrets() == [secret]
    same, none = webhooks.keep(name="Pager 2", url="https://example.com/2", by=lead, webhook=hook)
    assert (none, same.open_secrets()) == ("", [secret])
    fresh = webhooks.renew_secret(webhook=hook, by=lead)
    assert Webhook.objects.get().open_secrets() == [fresh, secret]
    Webhook.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    assert Webhook.objects.get().open_secrets() == [fresh]


def test_it_refuses_an_address_that_cannot_be_called_a_taken_name_and_who_leads_nobody(lead: User, agent: User) -> None:
    for url in ("ftp://example.com", "http://example.com", "https://user:pw@example.com/", "nonsense"):
        with pytest.raises(Invalid) as refused:
            webhooks.keep(name="x", url=url, by=lead)
        assert refused.value.field == "url"
    webhooks.keep(name="Pager", url=URL, by=lead)
    with pytest.raises(Conflict):
        webhooks.keep(name="Pager", url=URL, by=lead)
    with pytest.raises(Forbidden):
        webhooks.keep(name="Mine", url=URL, by=agent)


def test_it_subscribes_to_what_there_is_alone(lead: User) -> None:
    for wanted, field in ((Subscription(events=["ticket.eaten"]), "events"), (Subscription(format="fax"), "format")):
        with pytest.raises(Invalid) as refused:
            webhooks.keep(name="x", url=URL, by=lead, subscription=wanted)
        assert refused.value.field == field
    hook, _ = webhooks.keep(name="x", url=URL, by=lead, subscription=Subscription(["sla.warning", "ticket.created"]))
    assert hook.events == ["ticket.created", "sla.warning"]


def test_nobody_but_leads_sends_again_pings_renews_or_switches(lead: User, agent: User, reviewed: Ticket) -> None:
    hook, _ = webhooks.keep(name="Pager", url=URL, by=lead)
    call = webhooks.ping(webhook=hook, by=lead)
    now = timezone.now()
    for forbidden in (
        lambda: webhooks.ping(webhook=hook, by=agent),
        lambda: webhooks.redeliver(call=call, by=agent),
        lambda: webhooks.renew_secret(webhook=hook, by=agent),
        lambda: webhooks.switch(webhook=hook, on=False, by=agent),
        lambda: webhooks.delete(webhook=hook, by=agent),
        lambda: webhooks.replay(webhook=hook, since=now, until=now, states=["sent"], by=agent),
    ):
        with pytest.raises(Forbidden):
            forbidden()
    assert WebhookCall.objects.count() == 1


def test_a_call_is_sent_again_unless_it_is_on_its_way(lead: User) -> None:
    hook, _ = webhooks.keep(name="Pager", url=URL, by=lead)
    call = webhooks.ping(webhook=hook, by=lead)
    with pytest.raises(Conflict):
        webhooks.redeliver(call=call, by=lead)
    WebhookCall.objects.update(not_before=timezone.now() + timedelta(hours=3), attempts=5)
    assert webhooks.redeliver(call=call, by=lead).not_before <= timezone.now(), "whoever has mended it need not wait"
    WebhookCall.objects.update(state="failed", attempts=9, error="It answered 500.")
    again = webhooks.redeliver(call=call, by=lead)
    assert (again.state, again.attempts, again.error, again.uuid) == ("queued", 0, "", call.uuid)


def test_a_range_is_replayed_by_when_it_happened_and_what_became_of_it(lead: User) -> None:
    hook, _ = webhooks.keep(name="Pager", url=URL, by=lead)
    now = timezone.now()
    for hours, state in ((1, "failed"), (2, "failed"), (3, "held"), (30, "failed"), (2, "queued")):
        WebhookCall.objects.create(webhook=hook, event="ping", state=state, created_at=now - timedelta(hours=hours))
    day_ago = now - timedelta(days=1)
    assert webhooks.replay(webhook=hook, since=day_ago, until=now, states=["failed"], by=lead) == 2
    assert webhooks.replay(webhook=hook, since=day_ago, until=now, states=["failed", "held"], by=lead) == 1
    for since, until, states, field in ((now, day_ago, ["held"], "until"), (day_ago, now, ["nonsense"], "states")):
        with pytest.raises(Invalid) as refused:
            webhooks.replay(webhook=hook, since=since, until=until, states=states, by=lead)
        assert refused.value.field == field
    webhooks.switch(webhook=hook, on=False, by=lead)
    with pytest.raises(Conflict):
        webhooks.replay(webhook=hook, since=day_ago, until=now, states=["failed"], by=lead)
