from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tickets.actions import webhooks
from tickets.actions.webhooks import Subscription
from tickets.models import Team, Ticket, Webhook, WebhookAttempt, WebhookCall
from triage.models import User

PAGES = "/settings/webhooks/"
GIVEN = {"name": "Pager", "url": "https://example.com/x", "format": "plain", "events": ["ticket.escalated"]}


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


@pytest.fixture
def hook(lead: User) -> Webhook:
    made, _ = webhooks.keep(name="Pager", url=GIVEN["url"], by=lead, subscription=Subscription(["ticket.updated"]))  # type: ignore[arg-type]
    return made


@pytest.fixture
def call(hook: Webhook, reviewed: Ticket) -> WebhookCall:
    made = WebhookCall.objects.filter(event="ticket.updated").first()
    assert made is not None
    return made


def _text(client: Client, address: str, **headers: Any) -> str:
    return client.get(address, **headers).content.decode()


def test_one_is_set_up_with_a_secret_that_is_shown_once(desk: Client) -> None:
    billing = Team.objects.get(key="billing")
    shown = desk.post(PAGES, {**GIVEN, "teams": [billing.pk]}).content.decode()
    hook = Webhook.objects.get()
    (secret,) = hook.open_secrets()
    assert secret in shown
    assert (hook.events, list(hook.teams.all())) == (["ticket.escalated"], [billing])
    assert secret not in _text(desk, hook.get_absolute_url())
    renewed = desk.post(f"{hook.get_absolute_url()}secrets/").content.decode()
    assert secret not in renewed
    assert Webhook.objects.get().open_secrets()[0] in renewed
    assert "former secret" in _text(desk, hook.get_absolute_url())


def test_what_is_refused_stands_in_the_form_with_what_was_typed(desk: Client, hook: Webhook) -> None:
    answer = desk.post(PAGES, {**GIVEN, "name": "Chat", "url": "ftp://example.com/x"})
    assert answer.status_code == 422
    assert 'value="ftp://example.com/x"' in answer.content.decode()
    assert "begins with https://" in answer.content.decode()
    answer = desk.post(hook.get_absolute_url(), {**GIVEN, "name": ""})
    assert (answer.status_code, Webhook.objects.get().name) == (422, "Pager")


def test_what_it_is_told_of_is_changed(desk: Client, hook: Webhook) -> None:
    desk.post(hook.get_absolute_url(), {**GIVEN, "format": "slack", "events": ["sla.breached", "sla.warning"]})
    hook.refresh_from_db()
    assert (hook.format, hook.events) == ("slack", ["sla.warning", "sla.breached"])


def test_a_test_is_sent_and_its_call_shown(desk: Client, hook: Webhook) -> None:
    answer = desk.post(f"{hook.get_absolute_url()}pings/", follow=True)
    call = WebhookCall.objects.get(event="ping")
    assert answer.redirect_chain[0][0] == call.get_absolute_url()
    assert 'hx-trigger="every 1s"' in answer.content.decode(), "until it has been answered"


def test_one_call_is_shown_with_what_it_says_and_each_attempt(desk: Client, call: WebhookCall) -> None:
    WebhookAttempt.objects.create(
        call=call, milliseconds=1234, status=500, error="It answered 500.", answer="<b>no</b>"
    )
    WebhookCall.objects.filter(pk=call.pk).update(state="failed", attempts=1, body='{"type":"ticket.updated"}')
    page = _text(desk, call.get_absolute_url())
    for word in (
        "1,234 ms",
        "It answered 500.",
        "&lt;b&gt;no&lt;/b&gt;",
        "&quot;type&quot;: &quot;ticket.updated&quot;",
        str(call.uuid),
    ):
        assert word in page
    piece = _text(desk, call.get_absolute_url(), headers={"HX-Request": "true", "HX-Target": "call"})
    assert piece.strip().startswith('<div id="call"')


def test_a_call_is_sent_again_from_its_page(desk: Client, call: WebhookCall) -> None:
    WebhookCall.objects.filter(pk=call.pk).update(state="failed", attempts=7)
    desk.post(f"{call.get_absolute_url()}redelivery/")
    call.refresh_from_db()
    assert (call.state, call.attempts) == ("queued", 0)


def test_a_range_is_sent_again_and_the_page_says_how_many(desk: Client, call: WebhookCall) -> None:
    WebhookCall.objects.update(state="held")
    now = timezone.localtime()
    span = {
        "since": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M}",
        "until": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}",
    }
    address = f"{call.webhook.get_absolute_url()}replays/"
    said = desk.post(address, {**span, "states": ["held"]}, follow=True).content.decode()
    assert f"{WebhookCall.objects.count()} call" in said
    assert set(WebhookCall.objects.values_list("state", flat=True)) == {"queued"}
    said = desk.post(
        address, {"since": "the day before", "until": "", "states": ["held"]}, follow=True
    ).content.decode()
    assert "from when until when" in said


def test_the_log_is_narrowed_and_paged(desk: Client, hook: Webhook) -> None:
    for number in range(35):
        state = "failed" if number % 2 else "held"
        WebhookCall.objects.create(webhook=hook, event="sla.warning" if number == 7 else "ping", state=state)
    first = _text(desk, hook.get_absolute_url())
    assert (first.count('class="hook-call"'), "before=" in first) == (30, True)
    narrowed = _text(desk, f"{hook.get_absolute_url()}?state=failed&event=sla.warning")
    assert narrowed.count('class="hook-call"') == 1
    oldest = WebhookCall.objects.order_by("-pk")[29]
    older = _text(desk, f"{hook.get_absolute_url()}?before={oldest.pk}")
    assert older.count('class="hook-call"') == 5
    assert "Nothing like that" in _text(desk, f"{hook.get_absolute_url()}?event=budget.warning")


def test_a_disabled_one_is_told_to_leads_on_every_page_and_can_be_switched_on(
    desk: Client, hook: Webhook, client: Client, agent: User
) -> None:
    hook.disable("It answered 410.")
    hook.save()
    assert "banner-webhook" in _text(desk, "/tickets/")
    other = Client()
    other.force_login(agent)
    assert "banner-webhook" not in _text(other, "/tickets/")
    desk.post(f"{hook.get_absolute_url()}switch/", {"on": "yes"})
    assert "banner-webhook" not in _text(desk, "/tickets/")
    hook.refresh_from_db()
    assert (hook.active, hook.disabled_at) == (True, None)


def test_it_is_deleted_once_it_is_off(desk: Client, hook: Webhook) -> None:
    desk.post(f"{hook.get_absolute_url()}deletion/")
    assert Webhook.objects.exists()
    desk.post(f"{hook.get_absolute_url()}switch/", {"on": "no"})
    desk.post(f"{hook.get_absolute_url()}deletion/")
    assert not Webhook.objects.exists()


def test_an_auditor_looks_and_changes_nothing_and_an_agent_sees_none_of_it(
    hook: Webhook, call: WebhookCall, auditor: User, agent: User
) -> None:
    for who, looks in ((auditor, 200), (agent, 403)):
        client = Client()
        client.force_login(who)
        for address in (PAGES, hook.get_absolute_url(), call.get_absolute_url()):
            assert client.get(address).status_code == looks, address
        for what in ("secrets/", "switch/", "deletion/", "pings/", "replays/", f"calls/{call.pk}/redelivery/", ""):
            assert client.post(f"{hook.get_absolute_url()}{what}", GIVEN).status_code == 403, what
    assert not WebhookCall.objects.filter(event="ping").exists()


def test_the_words_of_a_ticket_that_a_lead_may_not_see_are_not_shown(
    hook: Webhook, call: WebhookCall, lead: User
) -> None:
    client = Client()
    client.force_login(lead)
    assert "Export fails" in _text(client, call.get_absolute_url())
    Ticket.objects.filter(pk=call.ticket_id).update(deleted_at=timezone.now())
    assert "Export fails" not in _text(client, call.get_absolute_url())
